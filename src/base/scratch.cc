#include "base/scratch.h"

#include <cstring>

namespace cider {

Scratch::Scratch(MemoryBudget* budget, size_t floor)
    : budget_(budget), held_(budget ? budget->limit() : 0, budget), floor_(floor) {}

bool Scratch::may_take(size_t bytes) const {
  const size_t held = held_.used();
  return held == 0 || held + bytes <= floor_ || budget_->has_room(bytes);
}

Result<Buffer> Scratch::take(size_t bytes, std::stop_token stop) {
  if (!budget_) return Buffer::allocate(bytes, nullptr);
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (may_take(bytes)) return Buffer::allocate(bytes, &held_);
    }
    TRY(budget_->wait_until([&] { return may_take(bytes); }, stop));
  }
}

Buffer Scratch::shrink(Buffer taken, size_t bytes) {
  if (bytes > taken.footprint() / 4 * 3) return taken.slice(0, bytes);
  Buffer rest = Buffer::allocate(bytes, budget_ ? &held_ : nullptr);
  std::memcpy(rest.mutable_data(), taken.data(), bytes);
  return rest;
}

}  // namespace cider
