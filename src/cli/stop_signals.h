// SIGTERM, SIGINT and SIGHUP as calls on a thread of their own.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace cider::cli {

// Blocks the signals in this thread and those it starts. Make it before any other thread.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();

  // Calls on_signal(1), on_signal(2) ... for the first, the second ... signal. Once.
  void watch(std::function<void(int count)> on_signal);

 private:
  sigset_t signals_;
  std::jthread watcher_;
};

}  // namespace cider::cli
