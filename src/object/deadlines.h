// Something to be done if a request is not over by a certain time: many requests, one thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace cider::object {

// Thread-safe. Unlike base/timer.h, what is no longer wanted can be taken back, which almost all is: the
// thread sleeps on meanwhile.
class Deadlines {
 public:
  using Id = std::pair<Monotonic::time_point, uint64_t>;

  explicit Deadlines(const char* thread_name);
  ~Deadlines();

  // Calls `late`, which must be short, on a thread of its own at `when`.
  Id add(Monotonic::time_point when, std::function<void()> late);
  // Afterwards `late` does not run, and is not running. Not to be called from a `late`.
  void cancel(const Id& id);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable ran_;
  std::map<Id, std::function<void()>> waiting_;
  uint64_t next_ = 0;
  Monotonic::time_point wakes_ = Monotonic::time_point::max();
  Id running_{};
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cider::object
