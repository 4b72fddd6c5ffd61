// Wall and monotonic time, replaceable in tests.
#pragma once

#include <chrono>

#include "base/types.h"

namespace cider {

using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;
using Monotonic = std::chrono::steady_clock;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;                         // wall clock
  virtual Monotonic::time_point monotonic() const = 0;  // for durations and time limits

  static const Clock& system();
};

// Nanoseconds since 1970; saturates outside the years 1678 to 2262.
int64_t to_nanos(Time t);
Time from_nanos(int64_t nanos);

}  // namespace cider
