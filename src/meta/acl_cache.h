// ACL rules by id and ids by rule. Rules are immutable, so what is cached stays right. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "meta/model/acl.h"

namespace cider::meta {

class AclCache {
 public:
  std::optional<AclRule> rule(uint32_t id) const;
  std::optional<uint32_t> id(const AclRule& rule) const;
  // Only after the rule is known to be committed under this id.
  void put(uint32_t id, const AclRule& rule);
  // Forgets all that was put before the engine's present incarnation (store.h): a rule may be lost.
  void trust(uint64_t incarnation);

 private:
  std::atomic<uint64_t> incarnation_{0};
  mutable std::mutex mutex_;
  std::unordered_map<uint32_t, AclRule> rules_;
  std::map<AclRule, uint32_t> ids_;
};

}  // namespace cider::meta
