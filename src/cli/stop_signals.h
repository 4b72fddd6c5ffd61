// SIGTERM and SIGINT, and SIGHUP, as calls on a thread of their own.
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

  // Calls on_stop(1), on_stop(2) ... for the first, the second ... SIGTERM or SIGINT, and on_hangup for each
  // SIGHUP. Without on_hangup a SIGHUP stops as well. Once.
  void watch(std::function<void(int count)> on_stop, std::function<void()> on_hangup);

 private:
  sigset_t signals_;
  std::jthread watcher_;
};

}  // namespace cider::cli
