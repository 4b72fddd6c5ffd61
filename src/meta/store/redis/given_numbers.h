// The highest numbers of inodes, slices and sessions that a client was given. A server that restarts or fails
// over may have lost the latest changes of its counters, and would give those numbers again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "meta/store/redis/connection.h"
#include "meta/store/store.h"

namespace cider::meta::redis {

// Thread-safe.
class GivenNumbers {
 public:
  // The counter's value after numbers were taken from it. Other counters are passed over.
  void note(Counter counter, int64_t value);
  // Raises the server's counters to what was noted; whether any was below.
  Result<bool> raise(Connection& connection);

 private:
  static constexpr std::array kCounters = {Counter::next_inode, Counter::next_chunk, Counter::next_session};

  std::array<std::atomic<int64_t>, kCounters.size()> highest_{};
};

}  // namespace cider::meta::redis
