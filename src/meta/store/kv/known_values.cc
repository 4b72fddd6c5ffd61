#include "meta/store/kv/known_values.h"

#include <utility>

namespace cider::meta::kv {

std::optional<KnownValues::Hint> KnownValues::find(const std::string& key) {
  std::lock_guard lock(mutex_);
  if (auto it = recent_.find(key); it != recent_.end()) return it->second;
  if (auto it = older_.find(key); it != older_.end()) return it->second;
  return std::nullopt;
}

void KnownValues::note(const std::string& key, Hint hint) {
  std::lock_guard lock(mutex_);
  if (auto it = older_.find(key); it != older_.end()) {
    if (it->second.known_at > hint.known_at) return;
    older_.erase(it);
  }
  const size_t size = size_of(key, hint);
  auto [at, is_new] = recent_.try_emplace(key);
  if (!is_new) {
    if (at->second.known_at > hint.known_at) return;
    bytes_ -= size_of(key, at->second);
  }
  at->second = std::move(hint);
  bytes_ += size;
  if (bytes_ < kBytes) return;
  older_ = std::exchange(recent_, {});
  bytes_ = 0;
}

}  // namespace cider::meta::kv
