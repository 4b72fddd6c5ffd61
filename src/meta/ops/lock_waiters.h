// Requests that wait for a lock, in the order they came. One thread tries them for all: at once when a lock
// of this client goes, and at growing intervals for locks of other clients, which tell nobody.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "meta/meta.h"

namespace cider::meta {

// Thread-safe.
class LockWaiters {
 public:
  explicit LockWaiters(Meta& meta);
  ~LockWaiters();

  // Tries once: {} when the lock is held now, EAGAIN when it must wait on, anything else ends the wait with
  // that error.
  using Attempt = std::function<Status()>;
  // Called when a wait ends without the lock: takes its traces out of the engine.
  using Cleanup = std::function<void()>;

  // flocks are granted in turn: what an exclusive one could have, an earlier one can have too, as each is for
  // the whole file. So it is tried only where no earlier one still waits. A shared one may pass an exclusive
  // one (its caller may be who that waits for), and a record lock any, for the same reason.
  enum class Order { any, shared_flock, exclusive_flock };

  // Queues behind those that wait for `ino`. `done` comes from the waiters' thread, or from whoever requests
  // `stop` (EINTR).
  void wait(Ino ino, Order order, std::stop_token stop, Attempt attempt, Cleanup cleanup, Meta::Done done);
  // A lock on `ino` was given up here.
  void wake(Ino ino);
  // Whether somebody queues for `ino`, so that a newcomer must not overtake.
  bool has_waiters(Ino ino) const;
  // Ends all waits with EINTR and the thread.
  void stop();

 private:
  struct Waiter;
  using Queue = std::list<std::shared_ptr<Waiter>>;

  void run();
  void try_queue(Ino ino, std::unique_lock<std::mutex>* lock);
  void finish(const std::shared_ptr<Waiter>& waiter, Status result, std::unique_lock<std::mutex>* lock);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Ino, Queue> queues_;
  std::map<Ino, bool> woken_;
  bool stopping_ = false;
  std::thread thread_;  // started by the first wait
};

}  // namespace cider::meta
