// An interruption in two steps. What only waits ends at once; what has been sent and may be carried out is
// given a while to be answered, so that the caller hears what became of it.
#pragma once

#include <chrono>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/interruptible_sleep.h"

namespace cider::meta::kv {

struct Interrupt {
  Interrupt() = default;
  Interrupt(const std::stop_token& both) : now(both), late(both) {}
  Interrupt(std::stop_token at_once, std::stop_token later)
      : now(std::move(at_once)), late(std::move(later)) {}

  std::stop_token now;
  std::stop_token late;  // of what has been sent
};

// Requests a stop when that long ago `stop` was requested. Its thread is there in between only.
class LateStop {
 public:
  LateStop(const std::stop_token& stop, std::chrono::milliseconds grace)
      : grace_(grace), on_stop_(stop, Begin{this}) {}
  LateStop(const LateStop&) = delete;

  std::stop_token token() const { return late_.get_token(); }

 private:
  struct Begin {
    LateStop* late;
    void operator()() const {
      late->timer_ = std::jthread([this_ = late](const std::stop_token& end) {
        if (interruptible_sleep(this_->grace_, end)) this_->late_.request_stop();
      });
    }
  };

  const std::chrono::milliseconds grace_;
  std::stop_source late_;
  std::jthread timer_;
  std::stop_callback<Begin> on_stop_;  // last: it uses the others
};

}  // namespace cider::meta::kv
