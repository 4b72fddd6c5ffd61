#include "chunk/read_ahead.h"

#include <algorithm>

namespace cider::chunk {
namespace {

constexpr uint64_t kFirstWindow = 128 << 10;

}  // namespace

bool ReadStream::continues(uint64_t off, uint32_t size) const {
  uint64_t slack = uint64_t{size} * 4;
  return off <= next_ + slack && off + size + slack >= next_;
}

ReadStream::Range ReadStream::on_read(uint64_t off, uint32_t size, const ReadAheadLimits& limits) {
  const uint64_t end = off + size;
  if (run_ == 0 && next_ == 0 && off == 0) {
    run_ = 1;  // from the beginning: most such readers go on
  } else if (continues(off, size)) {
    run_++;
  } else {
    next_ = ahead_ = window_ = grown_at_ = 0;
    run_ = 0;
    late_ = false;
  }
  next_ = std::max(next_, end);
  ahead_ = std::max(ahead_, next_);
  if (run_ == 0 || limits.max_window < kFirstWindow) return {};

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
  Range range{ahead_, target};
  ahead_ = target;
  return range;
}

ReadStream& StreamTable::at(uint64_t id, uint64_t off, uint32_t size) {
  ReadStream* chosen = nullptr;
  for (ReadStream& stream : streams_) {
    if (stream.id == id && stream.continues(off, size)) chosen = &stream;
  }
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
