// Threads whose open(2) was answered ESTALE, so that the kernel looks the name up again. It does that once
// per call, so its second OPEN must be answered otherwise, also where the name leads to another file now.
// Thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "base/clock.h"

namespace cider::vfs {

class SecondLooks {
 public:
  void sent(uint32_t thread) {
    std::lock_guard lock(mutex_);
    if (sent_.size() == kMost) sent_.pop_front();  // some never come back, because the name leads nowhere
    sent_.push_back({thread, Monotonic::now()});
  }

  // The thread opens a file. True if it was sent to look again just now.
  bool back(uint32_t thread) {
    std::lock_guard lock(mutex_);
    const auto sent = std::ranges::find(sent_, thread, &Sent::thread);
    if (sent == sent_.end()) return false;
    const bool recently = Monotonic::now() - sent->when < kSoon;
    sent_.erase(sent);
    return recently;
  }

 private:
  struct Sent {
    uint32_t thread;
    Monotonic::time_point when;
  };
  static constexpr size_t kMost = 1024;
  // Far longer than the LOOKUP in between takes, far shorter than a thread's number is used again.
  static constexpr std::chrono::seconds kSoon{2};

  std::mutex mutex_;
  std::deque<Sent> sent_;
};

}  // namespace cider::vfs
