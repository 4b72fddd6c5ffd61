#include "object/deadlines.h"

#include <pthread.h>

namespace cider::object {

Deadlines::Deadlines(const char* thread_name) {
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), thread_name);
}

Deadlines::~Deadlines() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

Deadlines::Id Deadlines::add(Monotonic::time_point when, std::function<void()> late) {
  std::lock_guard lock(mutex_);
  const Id id{when, ++next_};
  waiting_.emplace(id, std::move(late));
  if (when < wakes_) changed_.notify_one();
  return id;
}

void Deadlines::cancel(const Id& id) {
  std::unique_lock lock(mutex_);
  if (waiting_.erase(id) > 0) return;
  ran_.wait(lock, [&] { return running_ != id; });
}

void Deadlines::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (waiting_.empty()) {
      wakes_ = Monotonic::time_point::max();
      changed_.wait(lock);
      continue;
    }
    wakes_ = waiting_.begin()->first.first;
    if (Monotonic::now() < wakes_) {
      changed_.wait_until(lock, wakes_);
      continue;
    }
    running_ = waiting_.begin()->first;
    auto late = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    lock.unlock();
    late();
    late = nullptr;
    lock.lock();
    running_ = {};
    ran_.notify_all();
  }
}

}  // namespace cider::object
