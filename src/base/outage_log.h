// Tells of an outage without filling the log: a line when it begins, one with a count at most every 10 s
// while it lasts, one when it is over.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace cider {

// Thread-safe. What fails now and then is told like an outage: of each 10 s two lines at most.
class OutageLog {
 public:
  static constexpr Seconds kPause{10};

  // `what` is a plural that the lines begin with: "uploads".
  explicit OutageLog(std::string what, const Clock& clock = Clock::system())
      : what_(std::move(what)), clock_(clock) {}

  void failed(const Error& error);
  // Costs nothing much while nothing fails.
  void succeeded() {
    if (told_.load(std::memory_order_relaxed)) tell_end();
  }

 private:
  void tell_end();

  const std::string what_;
  const Clock& clock_;
  std::mutex mutex_;
  std::atomic<bool> told_{false};  // that it fails; not yet that it works again
  std::optional<Monotonic::time_point> last_told_;
  uint64_t untold_ = 0;  // failures since then
};

}  // namespace cider
