// One limit for all file data in memory (`--buffer-size`). Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <stop_token>

#include "base/result.h"

namespace cider {

// Charging never blocks, so that no receive thread waits for memory. Who produces data looks at the pressure instead:
// writers answer late, readers read ahead less or wait, caches give way.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t limit) : limit_(limit) {}

  void charge(size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void release(size_t bytes);

  size_t limit() const { return limit_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }

  // True if `bytes` more would stay within `share` (0 to 1) of the limit. A hint, not a reservation.
  bool has_room(size_t bytes, double share = 1.0) const {
    return static_cast<double>(used() + bytes) <= share * static_cast<double>(limit_);
  }

  // Waits until has_room(bytes, share); EINTR when `stop` is requested first.
  Status wait_for_room(size_t bytes, double share, std::stop_token stop);

 private:
  const size_t limit_;
  std::atomic<size_t> used_{0};
  std::atomic<int> waiters_{0};
  std::mutex mutex_;
  std::condition_variable_any room_;
};

}  // namespace cider
