// A place in the lane for one PUT.
#pragma once

#include <optional>

#include "chunk/writer.h"

namespace cider::chunk {

// Given back when the PUT has ended, or was not made.
class Writer::LanePut {
 public:
  explicit LanePut(Writer& writer) : writer_(writer) {}
  ~LanePut() { end(); }
  LanePut(const LanePut&) = delete;
  LanePut& operator=(const LanePut&) = delete;

  void begin() { began_ = Monotonic::now(); }
  void end() {
    if (ended_) return;
    ended_ = true;
    {
      std::lock_guard lock(writer_.lane_mutex_);
      const auto now = Monotonic::now();
      std::optional<Monotonic::duration> took;
      if (began_) took = now - *began_;
      writer_.lane_.put_ended(now, took);
    }
    if (!writer_.stop_.stop_requested()) writer_.run_lane();
  }

 private:
  Writer& writer_;
  std::optional<Monotonic::time_point> began_;
  bool ended_ = false;
};

}  // namespace cider::chunk
