// Growing pauses between tries.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"

namespace cider::chunk {

// Not thread-safe.
class Backoff {
 public:
  Backoff(Millis first, Millis longest) : next_(first), longest_(longest) {}

  // The pause before the next try: doubles each time.
  Millis next() {
    Millis pause = next_;
    next_ = std::min(next_ * 2, longest_);
    return pause;
  }

  // Sleeps for it; EINTR on `stop`.
  Status pause(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, next(), [] { return false; });
    if (stop.stop_requested()) return fail(EINTR);
    return {};
  }

 private:
  Millis next_;
  const Millis longest_;
};

}  // namespace cider::chunk
