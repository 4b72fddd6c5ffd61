#include "chunk/read_ahead.h"

#include <algorithm>

namespace cider::chunk {
namespace {

constexpr uint64_t kFirstWindow = 128 << 10;
// So many equal steps make a reader that goes in steps.
constexpr uint32_t kEqualSteps = 3;
constexpr uint32_t kMostSteps = 32;

}  // namespace

bool ReadStream::continues(uint64_t off, uint32_t size) const {
  uint64_t slack = uint64_t{size} * 4;
  return off <= next_ + slack && off + size + slack >= next_;
}

ReadStream::Ahead ReadStream::on_read(uint64_t off, uint32_t size, const ReadAheadLimits& limits) {
  const uint64_t end = off + size;
  const bool first = !last_;
  const int64_t step = first ? 0 : static_cast<int64_t>(off - *last_);
  last_ = off;
  if (first && off == 0) {
    run_ = 1;  // from the beginning: most such readers go on
  } else if (!first && continues(off, size)) {
    run_++;
    steps_ = 0;
  } else {
    next_ = ahead_ = window_ = grown_at_ = 0;
    run_ = 0;
    const bool same = step != 0 && step == step_;
    if (!same) steps_ahead_ = depth_ = 0;
    if (!same) late_ = false;
    steps_ = same ? steps_ + 1 : 1;
    step_ = step;
  }
  next_ = run_ > 0 ? std::max(next_, end) : end;
  ahead_ = std::max(ahead_, next_);
  if (limits.max_window < kFirstWindow) return {};
  return run_ > 0 ? forward(size, limits) : in_steps(off, size, limits);
}

ReadStream::Ahead ReadStream::forward(uint32_t size, const ReadAheadLimits& limits) {
  if (window_ == 0) {
    window_ = kFirstWindow;
  } else if (window_ < limits.step ? next_ + window_ / 2 >= ahead_
                                   : late_ && next_ >= grown_at_ + window_ / 2) {
    window_ *= 2;
    grown_at_ = next_;
    late_ = false;
  }
  window_ = std::min(window_, limits.max_window);

  uint64_t target = next_ + std::max<uint64_t>(window_, std::min<uint64_t>(size, limits.max_window));
  uint64_t at_least = std::min<uint64_t>(window_ / 2, limits.step);
  if (target < ahead_ + at_least) return {};
  // Ends on a border of steps, so that later fetches are whole ones.
  if (window_ >= 2 * uint64_t{limits.step}) target = target / limits.step * limits.step;
  if (target <= ahead_) return {};
  const Range range{ahead_, target};
  ahead_ = target;
  return {range, 0, 1};
}

ReadStream::Ahead ReadStream::in_steps(uint64_t off, uint32_t size, const ReadAheadLimits& limits) {
  if (steps_ahead_ > 0) steps_ahead_--;
  if (steps_ < kEqualSteps) return {};
  const auto most = static_cast<uint32_t>(std::min<uint64_t>(kMostSteps, limits.max_window / size));
  if (depth_ == 0 || late_) depth_ = std::min(most, std::max(2u, depth_ * 2));
  late_ = false;
  if (steps_ahead_ >= depth_) return {};

  uint32_t count = depth_ - steps_ahead_;
  // Backward, no further than to the beginning of the file.
  if (step_ < 0) {
    const auto left = static_cast<uint32_t>(std::min<uint64_t>(off / static_cast<uint64_t>(-step_), most));
    count = left > steps_ahead_ ? std::min(count, left - steps_ahead_) : 0;
  }
  const uint64_t begin = off + static_cast<uint64_t>(step_ * int64_t{steps_ahead_ + 1});
  steps_ahead_ += count;
  return {{begin, begin + size}, step_, count};
}

ReadStream& StreamTable::at(uint64_t id, uint64_t off, uint32_t size) {
  ReadStream* chosen = nullptr;
  ReadStream* jumping = nullptr;
  for (ReadStream& stream : streams_) {
    if (stream.id != id) continue;
    if (stream.continues(off, size)) chosen = &stream;
    if (stream.jumps() && (!jumping || stream.tick > jumping->tick)) jumping = &stream;
  }
  if (!chosen) chosen = jumping;
  if (!chosen && streams_.size() < kMax) {
    chosen = &streams_.emplace_back();
  } else if (!chosen) {
    chosen = &*std::min_element(streams_.begin(), streams_.end(),
                                [](auto& a, auto& b) { return a.tick < b.tick; });
    *chosen = ReadStream{};
  }
  chosen->id = id;
  chosen->tick = ++tick_;
  return *chosen;
}

}  // namespace cider::chunk
