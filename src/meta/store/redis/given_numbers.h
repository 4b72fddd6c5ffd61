// The highest numbers of inodes, slices, sessions and ACL rules that a client was given. A server that
// restarts or fails over may have lost the latest changes of its counters, and would give those numbers
// again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "meta/store/redis/connection.h"
#include "meta/store/redis/keyspace.h"
#include "meta/store/store.h"

namespace cider::meta::redis {

// Thread-safe.
class GivenNumbers {
 public:
  // The value of the counter of this name after numbers were taken from it. Other counters are passed over.
  void note(std::string_view name, int64_t value);
  // Raises the server's counters to what was noted; whether any was below.
  Result<bool> raise(Connection& connection, const Keyspace& keyspace);

 private:
  static constexpr size_t kCounters = 4;
  static const std::array<std::string, kCounters>& names();

  std::array<std::atomic<int64_t>, kCounters> highest_{};
};

}  // namespace cider::meta::redis
