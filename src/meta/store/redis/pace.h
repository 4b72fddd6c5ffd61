// When commits leave a directory to JuiceFS.
//
// JuiceFS's transactions are optimistic: it watches a directory's two keys, reads, and starts again if
// anybody changed the directory within its five or so round trips; after 50 tries its caller gets EIO.
// Commits of ours that come back to back starve it. So while a JuiceFS client is on the volume, changes of a
// busy directory come in bursts, with gaps of many of its round trips in between:
//
//   |<---------- 20 ms burst ---------->|<- 10 ms gap ->|     (both longer where the server is far)
//
// Some three in ten of JuiceFS's tries lie in a gap, and it tries again at random times. The gaps lie by the
// server's clock, so those of several clients coincide. A directory that changes more seldom leaves gaps by
// itself. Which directories JuiceFS works in cannot be told: who starves leaves no trace.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

#include "base/types.h"

namespace cider::meta::redis {

// The clients with a live session on the volume.
struct Neighbours {
  bool juicefs = false;
  size_t ours = 1;  // this one counted
  std::chrono::microseconds round_trip{0};
};

// Thread-safe.
class Pace {
 public:
  using Micros = std::chrono::microseconds;

  Pace() { meet({}); }
  void meet(const Neighbours& neighbours);
  bool leaves_gaps() const { return leaves_gaps_; }
  // How long a commit that changes entries of these directories has to wait at `now` of the server's clock.
  // Zero: it may go, and is counted.
  Micros delay(std::span<const Ino> dirs, Micros now);
  // Whether one of them is changed so often that JuiceFS would starve there without gaps.
  bool is_busy(std::span<const Ino> dirs, Micros now);

 private:
  // A directory's changes in its latest period and in the one before.
  struct Changes {
    int64_t period = 0;
    uint32_t count = 0;
    uint32_t before = 0;
  };
  Changes& changes_of(Ino dir, int64_t period);
  bool is_busy_locked(std::span<const Ino> dirs, int64_t period);

  std::atomic<bool> leaves_gaps_{false};
  std::mutex mutex_;
  Micros burst_{0};
  Micros gap_{0};
  uint32_t few_ = 0;
  std::array<Changes, 1024> changes_{};  // by inode number; who shares a place is busy together
};

}  // namespace cider::meta::redis
