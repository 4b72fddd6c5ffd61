#include "base/clock.h"

#include <ctime>
#include <limits>

namespace cider {
namespace {

class SystemClock final : public Clock {
 public:
  Time now() const override {
    timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return Time{ts.tv_sec, static_cast<uint32_t>(ts.tv_nsec)};
  }
  Monotonic::time_point monotonic() const override { return Monotonic::now(); }
};

}  // namespace

const Clock& Clock::system() {
  static const SystemClock clock;
  return clock;
}

int64_t to_nanos(Time t) {
  int64_t nanos;
  if (__builtin_mul_overflow(t.sec, int64_t{1'000'000'000}, &nanos) ||
      __builtin_add_overflow(nanos, int64_t{t.nsec}, &nanos)) {
    return t.sec < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  }
  return nanos;
}

Time from_nanos(int64_t nanos) {
  int64_t sec = nanos / 1'000'000'000;
  int64_t nsec = nanos % 1'000'000'000;
  if (nsec < 0) {
    sec -= 1;
    nsec += 1'000'000'000;
  }
  return Time{sec, static_cast<uint32_t>(nsec)};
}

}  // namespace cider
