// Threads whose open(2) was answered ESTALE, so that the kernel looks the name up again. It does that once
// per call, so its second OPEN must be answered otherwise. Thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

#include "base/types.h"

namespace cider::vfs {

class SecondLooks {
 public:
  // The thread is being sent from this inode.
  void sent(uint32_t thread, Ino ino) {
    std::lock_guard lock(mutex_);
    if (sent_.size() == kMost) sent_.pop_front();  // some never come back, because the name leads elsewhere
    sent_.emplace_back(thread, ino);
  }

  // The thread opens an inode. True if it was sent from there just now.
  bool back(uint32_t thread, Ino ino) {
    std::lock_guard lock(mutex_);
    const auto sent = std::ranges::find(sent_, thread, &Sent::first);
    if (sent == sent_.end()) return false;
    const bool here = sent->second == ino;
    sent_.erase(sent);
    return here;
  }

 private:
  using Sent = std::pair<uint32_t, Ino>;
  static constexpr size_t kMost = 1024;

  std::mutex mutex_;
  std::deque<Sent> sent_;
};

}  // namespace cider::vfs
