#include "base/budget.h"

namespace cider {

MemoryBudget::MemoryBudget(size_t limit, MemoryBudget* parent)
    : limit_(limit), parent_(parent), slabs_(limit / 8) {}

void MemoryBudget::charge(size_t bytes) {
  used_.fetch_add(bytes);
  if (parent_) parent_->charge(bytes);
}

void MemoryBudget::release(size_t bytes) {
  used_.fetch_sub(bytes);
  if (parent_) parent_->release(bytes);
  if (waiters_.load() == 0) return;
  std::lock_guard lock(mutex_);
  room_.notify_all();
}

Status MemoryBudget::wait_for_room(size_t bytes, double share, std::stop_token stop) {
  return wait_until([&] { return has_room(bytes, share); }, std::move(stop));
}

Status MemoryBudget::wait_until(const std::function<bool()>& ready, std::stop_token stop) {
  if (ready()) return {};
  std::unique_lock lock(mutex_);
  waiters_.fetch_add(1);
  bool room = room_.wait(lock, std::move(stop), ready);
  waiters_.fetch_sub(1);
  if (!room) return fail(EINTR);
  return {};
}

}  // namespace cider
