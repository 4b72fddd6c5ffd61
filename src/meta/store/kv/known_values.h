// What this client last knew of keys. In etcd, with the revision of their last change, it may answer an
// operation without a flight, because the commit compares the revision; in TiKV it tells what to ask for
// together. Of bounded size.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "meta/store/kv/kv.h"

namespace cider::meta::kv {

// Thread-safe.
class KnownValues {
 public:
  struct Hint {
    Value value;
    int64_t changed = 0;   // mod revision; 0: the key is not there
    int64_t known_at = 0;  // a revision, or a timestamp, at which this was so
  };

  std::optional<Hint> find(const std::string& key);
  // An older word about a key than what is known is passed over.
  void note(const std::string& key, Hint hint);

 private:
  static constexpr size_t kBytes = 8 << 20;  // of each half
  static constexpr size_t kOverhead = 120;
  using Half = std::unordered_map<std::string, Hint>;

  static size_t size_of(const std::string& key, const Hint& hint) {
    return kOverhead + key.size() + (hint.value ? hint.value->size() : 0);
  }

  std::mutex mutex_;
  Half recent_;  // when it is full, it becomes the older one, which goes
  Half older_;
  size_t bytes_ = 0;  // of the recent ones
};

}  // namespace cider::meta::kv
