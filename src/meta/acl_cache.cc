#include "meta/acl_cache.h"

namespace cider::meta {

std::optional<AclRule> AclCache::rule(uint32_t id) const {
  std::lock_guard lock(mutex_);
  auto it = rules_.find(id);
  if (it == rules_.end()) return std::nullopt;
  return it->second;
}

std::optional<uint32_t> AclCache::id(const AclRule& rule) const {
  std::lock_guard lock(mutex_);
  auto it = ids_.find(rule);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

void AclCache::put(uint32_t id, const AclRule& rule) {
  std::lock_guard lock(mutex_);
  rules_.try_emplace(id, rule);
  ids_.try_emplace(rule, id);
}

void AclCache::trust(uint64_t incarnation) {
  if (incarnation_ == incarnation) return;
  std::lock_guard lock(mutex_);
  incarnation_ = incarnation;
  rules_.clear();
  ids_.clear();
}

}  // namespace cider::meta
