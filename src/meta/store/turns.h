// How callers share the work of a commit without a thread for it: each puts a request, which is on its stack,
// into a queue. The first that finds nobody leading leads: it serves what is queued until its own request is
// answered, then hands over to the next in the queue.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace cider::meta {

// What a request is besides its work. It has a lock of its own, so that those who are woken do not queue up
// once more for the queue's.
class Waiter {
 public:
  enum class State { waiting, leads, done };

  explicit Waiter(std::stop_token stopping) : stop(std::move(stopping)), on_stop_(stop, Wake{this}) {}
  Waiter(const Waiter&) = delete;

  // The notification is under the lock: once that is released, a request that is done may be gone.
  void set(State next) {
    std::lock_guard lock(mutex_);
    state_ = next;
    wake_.notify_one();
  }
  // Until it leads or is done, or (if `interruptible`) `stop` is requested. For so long it only gives the
  // processor to others before it sleeps.
  State wait(bool interruptible, Monotonic::duration awake = {}) {
    if (awake.count() > 0) {
      const auto until = Monotonic::now() + awake;
      while (state_ == State::waiting && Monotonic::now() < until) ::sched_yield();
    }
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return state_ != State::waiting || (interruptible && stop.stop_requested()); });
    return state_;
  }
  State present() {
    std::lock_guard lock(mutex_);
    return state_;
  }
  // Asked by a leader, who alone sets it.
  bool is_done() const { return state_ == State::done; }

  const std::stop_token stop;
  Status answer;

 private:
  struct Wake {
    Waiter* waiter;
    void operator()() const {
      std::lock_guard lock(waiter->mutex_);
      waiter->wake_.notify_one();
    }
  };

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<State> state_ = State::waiting;
  std::stop_callback<Wake> on_stop_;  // last: it uses the others
};

// Whether it is to lead; if not, it is answered: with EINTR if `stop` was requested while it was still in the
// queue. `withdraw` takes it out and says whether it was there; called under the queue's lock, under which
// turns are given, too.
template <class Withdraw>
bool wait_for_turn(Waiter& waiter, std::mutex& queue_mutex, const Withdraw& withdraw,
                   Monotonic::duration awake = {}) {
  Waiter::State state = waiter.wait(true, awake);
  if (state == Waiter::State::waiting) {  // interrupted
    std::lock_guard lock(queue_mutex);
    state = waiter.present();
    if (state == Waiter::State::waiting && withdraw()) {
      waiter.answer = fail(EINTR);
      return false;
    }
  }
  if (state == Waiter::State::waiting) state = waiter.wait(false);  // too late: it is being worked on
  return state == Waiter::State::leads;
}

// Thread-safe. A Request is a Waiter.
template <class Request>
class TurnQueue {
 public:
  // `brief`: turns are over before somebody has gone to sleep and been woken, so callers rather look again.
  explicit TurnQueue(bool brief = false) : awake_(brief ? kAwake : Monotonic::duration{}) {}

  // Returns when the request is answered. `serve` is called by whoever leads: it takes some, the first among
  // them, and sets them to done.
  template <class Serve>
  void run(Request* request, const Serve& serve) {
    const auto withdraw = [&] { return std::erase(queue_, request) == 1; };
    if (!enqueue(request) && !wait_for_turn(*request, mutex_, withdraw, awake_)) return;
    while (!request->is_done()) serve();
    std::lock_guard lock(mutex_);
    led_ = !queue_.empty();
    if (led_) queue_.front()->set(Waiter::State::leads);
  }

  // For the leader.
  std::vector<Request*> take(size_t limit) {
    std::lock_guard lock(mutex_);
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(limit, queue_.size()));
    std::vector<Request*> taken(queue_.begin(), end);
    queue_.erase(queue_.begin(), end);
    return taken;
  }
  void give_back(std::span<Request* const> requests) {  // they come first again
    std::lock_guard lock(mutex_);
    queue_.insert(queue_.begin(), requests.begin(), requests.end());
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return queue_.size();
  }
  // Wakes them, with this answer or the one that each has; afterwards they may be gone.
  static void answer_all(std::vector<Request*>& requests, const Status* status) {
    for (Request* request : requests) {
      if (status) request->answer = *status;
      request->set(Waiter::State::done);
    }
    requests.clear();
  }

 private:
  bool enqueue(Request* request) {  // true: the caller leads
    std::lock_guard lock(mutex_);
    queue_.push_back(request);
    return !std::exchange(led_, true);
  }

  // Less than it takes to sleep and be woken. Where others need the processor it is over with one turn of
  // theirs.
  static constexpr Monotonic::duration kAwake = std::chrono::microseconds(20);

  const Monotonic::duration awake_;
  std::mutex mutex_;
  std::deque<Request*> queue_;
  bool led_ = false;
};

}  // namespace cider::meta
