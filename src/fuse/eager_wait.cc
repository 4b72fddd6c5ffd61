#include "fuse/eager_wait.h"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <thread>

namespace cider::fuse {
namespace {

// After so many misses in a row one request in 2^kMaxMisses is followed by a look.
constexpr unsigned kMaxMisses = 6;

bool readable(int device) {
  pollfd waiting{.fd = device, .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, 0) != 0;  // an error is for read() to tell
}

}  // namespace

// On a single processor the one who would send the request could not run meanwhile.
EagerWait::EagerWait(std::chrono::microseconds longest)
    : longest_(std::thread::hardware_concurrency() > 1 ? longest : std::chrono::microseconds(0)) {}

void EagerWait::look(int device) {
  if (longest_.count() == 0 || looking_.test_and_set(std::memory_order_acquire)) return;
  if (skip_ > 0) {
    --skip_;
  } else {
    looks_.fetch_add(1, std::memory_order_relaxed);
    const auto until = std::chrono::steady_clock::now() + longest_;
    bool found = readable(device);
    while (!found && std::chrono::steady_clock::now() < until) {
      ::sched_yield();
      found = readable(device);
    }
    misses_ = found ? 0 : std::min(misses_ + 1, kMaxMisses);
    if (!found) skip_ = (1U << misses_) - 1;
  }
  looking_.clear(std::memory_order_release);
}

}  // namespace cider::fuse
