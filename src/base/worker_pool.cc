#include "base/worker_pool.h"

#include <pthread.h>

#include <algorithm>

namespace cider {
namespace {

// A few threads saturate a local store; more are worth their memory only where jobs wait for a network.
constexpr int kEagerThreads = 3;
constexpr auto kPatience = std::chrono::milliseconds(2);
constexpr auto kIdle = std::chrono::seconds(5);

}  // namespace

WorkerPool::WorkerPool(std::string name, int max_threads)
    : name_(std::move(name)), max_threads_(std::max(1, max_threads)) {}

bool WorkerPool::should_grow(Monotonic::time_point now) const {
  if (queue_.empty() || static_cast<int>(threads_.size()) >= max_threads_) return false;
  if (static_cast<int>(queue_.size()) <= idle_) return false;
  return static_cast<int>(threads_.size()) < kEagerThreads || now - queue_.front().since > kPatience;
}

void WorkerPool::submit(Job job) {
  Job dropped;  // destroyed without the lock
  std::lock_guard lock(mutex_);
  if (stopping_) {
    dropped = std::move(job);
    return;
  }
  auto now = Monotonic::now();
  queue_.push_back({std::move(job), now});
  if (should_grow(now)) start_thread();
  if (idle_ > 0) work_.notify_one();
}

bool WorkerPool::poke() {
  std::lock_guard lock(mutex_);
  if (stopping_) return false;
  if (should_grow(Monotonic::now())) start_thread();
  return !queue_.empty();
}

void WorkerPool::start_thread() {
  for (std::thread& thread : finished_) thread.join();
  finished_.clear();
  auto self = threads_.emplace(threads_.end());
  *self = std::thread([this, self] { run(self); });
}

void WorkerPool::run(std::list<std::thread>::iterator self) {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  while (true) {
    if (queue_.empty()) {
      if (stopping_) return;
      idle_++;
      bool woken = work_.wait_for(lock, kIdle, [&] { return stopping_ || !queue_.empty(); });
      idle_--;
      if (!woken) {
        finished_.splice(finished_.end(), threads_, self);
        return;
      }
      continue;
    }
    Job job = std::move(queue_.front().job);
    auto now = Monotonic::now();
    bool waited = now - queue_.front().since > kPatience;
    queue_.pop_front();
    if (waited && !stopping_ && should_grow(now)) start_thread();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

void WorkerPool::stop() {
  std::deque<Waiting> dropped;
  std::list<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
    threads.splice(threads.end(), threads_);
    threads.splice(threads.end(), finished_);
    work_.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace cider
