// Runs functions later, all on one thread, which sleeps while nothing is due. Functions must be short.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"

namespace cider {

// Thread-safe.
class Timer {
 public:
  explicit Timer(std::string name);
  ~Timer() { stop(); }

  // Dropped after stop().
  void after(Monotonic::duration delay, std::move_only_function<void()> task);

  // What waits is dropped. Not to be called from a task.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Monotonic::time_point, std::move_only_function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cider
