// One sync for all who wait for one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "base/function_ref.h"
#include "base/result.h"

namespace cider::meta::kv {

// Thread-safe.
class SharedSync {
 public:
  // Returns the outcome of a run of `sync` that began after this call. Callers that come while one runs share
  // the next.
  Status run(FunctionRef<Status()> sync) {
    std::unique_lock lock(mutex_);
    const uint64_t mine = begun_ + 1;  // one that is under way may have begun before the caller's commit
    finished_one_.wait(lock, [&] { return !running_ || finished_ >= mine; });
    if (finished_ >= mine) return outcome_;
    running_ = true;
    const uint64_t number = ++begun_;
    lock.unlock();
    Status synced = sync();
    lock.lock();
    running_ = false;
    finished_ = number;
    outcome_ = synced;
    finished_one_.notify_all();
    return synced;
  }

 private:
  std::mutex mutex_;
  std::condition_variable finished_one_;
  bool running_ = false;
  uint64_t begun_ = 0;
  uint64_t finished_ = 0;
  Status outcome_;  // of the last one finished
};

}  // namespace cider::meta::kv
