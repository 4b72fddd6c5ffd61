// A lock that is held across calls of servers: who waits for it can be interrupted. Thread-safe.
#pragma once

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

#include "base/result.h"

namespace cider {

class SlowLock {
 public:
  class Guard {
   public:
    explicit Guard(SlowLock* owner) : owner_(owner) {}
    Guard(Guard&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (owner_) owner_->unlock();
    }

   private:
    SlowLock* owner_;
  };

  // EINTR when `stop` is requested first.
  Result<Guard> lock(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!free_.wait(lock, std::move(stop), [this] { return !held_; })) return fail(EINTR);
    held_ = true;
    return Guard(this);
  }

 private:
  void unlock() {
    std::lock_guard lock(mutex_);
    held_ = false;
    free_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable_any free_;
  bool held_ = false;
};

}  // namespace cider
