#include "base/timer.h"

#include <pthread.h>

namespace cider {

Timer::Timer(std::string name) {
  thread_ = std::thread([this, name = std::move(name)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    run();
  });
}

void Timer::after(Monotonic::duration delay, std::move_only_function<void()> task) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  auto it = tasks_.emplace(Monotonic::now() + delay, std::move(task));
  if (it == tasks_.begin()) changed_.notify_one();
}

void Timer::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (tasks_.empty()) {
      changed_.wait(lock);
    } else if (auto due = tasks_.begin()->first; Monotonic::now() < due) {
      changed_.wait_until(lock, due);
    } else {
      auto task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }
}

void Timer::stop() {
  std::multimap<Monotonic::time_point, std::move_only_function<void()>> dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(tasks_);
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace cider
