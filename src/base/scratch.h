// Working memory of a step that turns data into other data (compression, encryption): counted in a budget,
// with a floor that nothing else can take, so that the step which gives memory back (an upload) always gets
// on.
#pragma once

#include <cstddef>
#include <mutex>
#include <stop_token>

#include "base/budget.h"
#include "base/buffer.h"
#include "base/result.h"

namespace cider {

// One kind of step that needs working memory. Who waits here may hold memory of steps before it, never of
// steps after it: then the step that needs no more always ends, and no two wait for each other. Thread-safe.
class Scratch {
 public:
  // `budget` outlives this and what it gives; null counts nothing and never waits.
  Scratch(MemoryBudget* budget, size_t floor);

  // `bytes` of memory, all that the step will need, until the Buffer goes. Waits while the budget has no
  // room, unless what is held stays within the floor or nothing is. EINTR when `stop` is requested first.
  Result<Buffer> take(size_t bytes, std::stop_token stop);

  // The first `bytes` of what was taken here; of less memory where most of it is needed no more. Never waits.
  Buffer shrink(Buffer taken, size_t bytes);

  size_t used() const { return held_.used(); }

 private:
  bool may_take(size_t bytes) const;

  MemoryBudget* const budget_;
  MemoryBudget held_;  // the part of the budget that is held here
  const size_t floor_;
  std::mutex mutex_;  // asking and taking are one step
};

}  // namespace cider
