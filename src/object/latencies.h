// The median of recent durations.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

#include "base/clock.h"

namespace cider::object {

// Thread-safe. The median is of the last 64, worked out anew with every eighth.
class Latencies {
 public:
  void add(Monotonic::duration taken) {
    std::lock_guard lock(mutex_);
    last_[count_++ % kKept] = taken;
    if (count_ % kEvery != 0) return;
    auto sorted = last_;
    const size_t n = std::min(count_, kKept);
    std::nth_element(sorted.begin(), sorted.begin() + n / 2, sorted.begin() + n);
    median_ = sorted[n / 2];
    known_ = n;
  }
  // Zero until `least` durations are known.
  Monotonic::duration median(size_t least) const {
    std::lock_guard lock(mutex_);
    return known_ < least ? Monotonic::duration::zero() : median_;
  }

 private:
  static constexpr size_t kKept = 64;
  static constexpr size_t kEvery = 8;

  mutable std::mutex mutex_;
  std::array<Monotonic::duration, kKept> last_{};
  size_t count_ = 0;
  size_t known_ = 0;
  Monotonic::duration median_{};
};

}  // namespace cider::object
