// Requests that the store never answers: --get-timeout and --put-timeout.
#pragma once

#include <memory>

#include "base/clock.h"
#include "object/object_store.h"

namespace cider::object {

struct Timeouts {
  Millis get{60'000};
  Millis put{60'000};
};

// `inner`, whose reads and writes of object data end with ETIMEDOUT when they take longer. They are
// interrupted as by a stop request, so a store that can't be interrupted is not cut short.
std::unique_ptr<ObjectStore> with_timeouts(std::unique_ptr<ObjectStore> inner, Timeouts timeouts);

}  // namespace cider::object
