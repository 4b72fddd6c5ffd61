// Threads that run short jobs. They start when there is work, up to a limit, and go away when idle.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"

namespace cider {

// Thread-safe. Jobs start in the order they were submitted.
class WorkerPool {
 public:
  using Job = std::move_only_function<void()>;

  // `name` (up to 15 characters) is what the threads are called in ps.
  WorkerPool(std::string name, int max_threads);
  ~WorkerPool() { stop(); }

  // Never blocks. After stop() the job is dropped.
  void submit(Job job);

  // More threads, if jobs wait while all threads are stuck. To be called from time to time until no job
  // waits, which it answers.
  bool poke();

  // Jobs that run are waited for; those that wait are dropped. Not to be called from a job.
  void stop();

 private:
  struct Waiting {
    Job job;
    Monotonic::time_point since;
  };

  void run(std::list<std::thread>::iterator self);
  void start_thread();
  bool should_grow(Monotonic::time_point now) const;

  const std::string name_;
  const int max_threads_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Waiting> queue_;
  std::list<std::thread> threads_;
  std::list<std::thread> finished_;  // went away idle; joined by the next one that starts or stops
  int idle_ = 0;
  bool stopping_ = false;
};

}  // namespace cider
