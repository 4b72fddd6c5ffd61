#include "meta/ops/lock_waiters.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace cider::meta {
namespace {

constexpr Millis kFirstPause{1};
constexpr Millis kLongestPause{20};
constexpr size_t kManyWaiters = 32;  // of one inode: each further such crowd polls as much more seldom

}  // namespace

struct LockWaiters::Waiter {
  Ino ino = 0;
  Order order = Order::any;
  Attempt attempt;
  Cleanup cleanup;
  Meta::Done done;
  Millis pause = kFirstPause;
  Monotonic::time_point next_try = Monotonic::now();
  bool woken = false;  // since its last try began
  bool interrupted = false;
  bool finished = false;
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
};

LockWaiters::LockWaiters(Meta&) {}

LockWaiters::~LockWaiters() {
  stop();
}

bool LockWaiters::has_waiters(Ino ino) const {
  std::lock_guard lock(mutex_);
  return queues_.contains(ino);
}

void LockWaiters::wake(Ino ino) {
  std::lock_guard lock(mutex_);
  auto queue = queues_.find(ino);
  if (queue == queues_.end()) return;
  for (auto& waiter : queue->second) {
    waiter->woken = true;
    waiter->pause = kFirstPause;
    waiter->next_try = Monotonic::now();
  }
  woken_[ino] = true;
  changed_.notify_all();
}

void LockWaiters::wait(Ino ino, Order order, std::stop_token stop, Attempt attempt, Cleanup cleanup,
                       Meta::Done done) {
  auto waiter = std::make_shared<Waiter>();
  waiter->ino = ino;
  waiter->order = order;
  waiter->attempt = std::move(attempt);
  waiter->cleanup = std::move(cleanup);
  waiter->done = std::move(done);
  // Before it is queued, as nobody else knows it yet; the callback runs here and now when the stop was
  // requested before.
  waiter->on_stop.emplace(std::move(stop), [this, weak = std::weak_ptr<Waiter>(waiter)] {
    auto w = weak.lock();
    if (!w) return;
    std::lock_guard lock(mutex_);
    w->interrupted = true;
    w->next_try = Monotonic::now();
    woken_[w->ino] = true;
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  if (stopping_) {
    lock.unlock();
    waiter->on_stop.reset();
    waiter->done(fail(EINTR));
    return;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  queues_[ino].push_back(waiter);
  woken_[ino] = true;
  changed_.notify_all();
}

// The last touch of a waiter: everything but the mutex may be used by done().
void LockWaiters::finish(const std::shared_ptr<Waiter>& waiter, Status result,
                         std::unique_lock<std::mutex>* lock) {
  waiter->finished = true;
  auto queue = queues_.find(waiter->ino);
  std::erase(queue->second, waiter);
  if (queue->second.empty()) queues_.erase(queue);
  lock->unlock();
  waiter->on_stop.reset();
  if (!result) waiter->cleanup();
  waiter->done(std::move(result));
  lock->lock();
}

// Tries the waiters of one inode from the first on.
void LockWaiters::try_queue(Ino ino, std::unique_lock<std::mutex>* lock) {
  auto found = queues_.find(ino);
  if (found == queues_.end()) return;
  std::vector<std::shared_ptr<Waiter>> waiters(found->second.begin(), found->second.end());
  std::shared_ptr<Waiter> ahead;  // the last flock that still waits
  for (auto& waiter : waiters) {
    if (waiter->finished) continue;
    if (waiter->interrupted) {
      finish(waiter, fail(EINTR), lock);
      continue;
    }
    bool in_turn = waiter->order != Order::exclusive_flock || !ahead;
    if (!in_turn) waiter->next_try = ahead->next_try;
    bool due = in_turn && waiter->next_try <= Monotonic::now();
    if (!due) {
      if (waiter->order != Order::any) ahead = waiter;
      continue;
    }
    waiter->woken = false;
    lock->unlock();
    Status result = waiter->attempt();
    lock->lock();
    if (!result && result.error().code == EAGAIN) {
      if (waiter->order != Order::any) ahead = waiter;
      if (waiter->woken || waiter->interrupted) continue;  // while it tried: once more at once
      waiter->pause =
          std::min<Millis>(waiter->pause * 2, kLongestPause * (1 + waiters.size() / kManyWaiters));
      waiter->next_try = Monotonic::now() + waiter->pause;
      continue;
    }
    finish(waiter, std::move(result), lock);
  }
}

void LockWaiters::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queues_.empty()) {
      changed_.wait(lock, [&] { return stopping_ || !queues_.empty(); });
      continue;
    }
    Monotonic::time_point next = Monotonic::now() + kLongestPause;
    for (const auto& [ino, queue] : queues_) {
      for (const auto& waiter : queue) next = std::min(next, waiter->next_try);
    }
    changed_.wait_until(lock, next, [&] { return stopping_ || !woken_.empty(); });
    woken_.clear();
    std::vector<Ino> inodes;
    for (const auto& [ino, queue] : queues_) inodes.push_back(ino);
    for (Ino ino : inodes) try_queue(ino, &lock);
  }
}

void LockWaiters::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  std::unique_lock lock(mutex_);
  while (!queues_.empty()) {
    std::shared_ptr<Waiter> waiter = queues_.begin()->second.front();
    finish(waiter, fail(EINTR), &lock);
  }
}

}  // namespace cider::meta
