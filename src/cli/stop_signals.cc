#include "cli/stop_signals.h"

#include <pthread.h>

namespace cider::cli {
namespace {

constexpr int kWakeUp = SIGUSR1;  // from the destructor

}  // namespace

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, kWakeUp}) sigaddset(&signals_, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

StopSignals::~StopSignals() {
  if (!watcher_.joinable()) return;
  watcher_.request_stop();
  ::pthread_kill(watcher_.native_handle(), kWakeUp);
}

void StopSignals::watch(std::function<void(int count)> on_stop, std::function<void()> on_hangup) {
  watcher_ = std::jthread(
      [this, on_stop = std::move(on_stop), on_hangup = std::move(on_hangup)](const std::stop_token& stop) {
        int count = 0;
        int signal = 0;
        while (::sigwait(&signals_, &signal) == 0 && !stop.stop_requested()) {
          if (signal == kWakeUp) continue;
          if (signal == SIGHUP && on_hangup) {
            on_hangup();
          } else {
            on_stop(++count);
          }
        }
      });
}

}  // namespace cider::cli
