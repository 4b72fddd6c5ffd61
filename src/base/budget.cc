#include "base/budget.h"

namespace cider {

void MemoryBudget::release(size_t bytes) {
  used_.fetch_sub(bytes);
  if (waiters_.load() == 0) return;
  std::lock_guard lock(mutex_);
  room_.notify_all();
}

Status MemoryBudget::wait_for_room(size_t bytes, double share, std::stop_token stop) {
  if (has_room(bytes, share)) return {};
  std::unique_lock lock(mutex_);
  waiters_.fetch_add(1);
  bool room = room_.wait(lock, stop, [&] { return has_room(bytes, share); });
  waiters_.fetch_sub(1);
  if (!room) return fail(EINTR);
  return {};
}

}  // namespace cider
