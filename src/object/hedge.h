// Slow requests for data are sent a second time; who answers first wins.
#pragma once

#include <memory>

#include "base/budget.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "object/object_store.h"

namespace cider::object {

struct HedgeOptions {
  double factor = 3;    // a request is slow when it is this many times later than the median, ...
  Millis least{50};     // ... and this late
  double share = 0.05;  // of all requests are sent twice, at most
  int samples = 16;     // requests whose time must be known before
  Millis calm{5'000};   // none after the store has asked for fewer requests (EAGAIN)
};

// `inner`, whose get, get_in_order and get_whole are hedged. Late counts what a reader waits for: the first
// byte, or the end where the store announces no bytes before (get_whole never does).
//
// The first request writes into the caller's memory, the second into a buffer of its own, which is charged to
// `budget` (not begun where that has no room). Whoever brings its first byte first goes on, the other is
// interrupted. If it is the second that goes on, the call copies from its buffer, and only after the first
// has returned: so it is for stores that heed the stop token at once. `budget` and `metrics` outlive the
// store; `object_request_hedged` counts.
std::unique_ptr<ObjectStore> with_hedging(std::unique_ptr<ObjectStore> inner, MemoryBudget& budget,
                                          HedgeOptions options = {}, MetricSet& metrics = cider::metrics());

}  // namespace cider::object
