// How far to read ahead of readers whose next reads can be told.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace cider::chunk {

struct ReadAheadLimits {
  uint64_t max_window = 32 << 20;  // bytes
  uint32_t step = 1 << 20;         // once the window is large, fetch at least this much at a time
};

// One reader that goes through a file. Forward, a window begins at 128 KiB and doubles while the reader keeps
// up with it, beyond `step` only when what was read ahead came too late: a near store needs no large window.
// In equal steps, forward or backward, the next few reads are fetched ahead, exactly, more of them while they
// come too late.
class ReadStream {
 public:
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  // `count` ranges as large as the first, `step` bytes apart.
  struct Ahead {
    Range first;
    int64_t step = 0;
    uint32_t count = 0;
    Range at(uint32_t i) const {
      const int64_t shift = step * int64_t{i};
      return {first.begin + static_cast<uint64_t>(shift), first.end + static_cast<uint64_t>(shift)};
    }
  };

  // True if a read at `off` goes on where this stream stands; reads of one stream may overtake each other a
  // little.
  bool continues(uint64_t off, uint32_t size) const;
  // True if it does not go forward, so that the next read may be anywhere.
  bool jumps() const { return run_ == 0; }

  // Notes a read of [off, off+size) and answers what to fetch ahead now.
  Ahead on_read(uint64_t off, uint32_t size, const ReadAheadLimits& limits);
  // Data that had been asked for ahead was not there in time.
  void on_late() { late_ = true; }

  bool is_sequential() const { return run_ > 0; }

  uint64_t id = 0;
  uint64_t tick = 0;  // of the last use, for replacing the oldest
  uint64_t window() const { return window_; }

 private:
  Ahead forward(uint32_t size, const ReadAheadLimits& limits);
  Ahead in_steps(uint64_t off, uint32_t size, const ReadAheadLimits& limits);

  uint64_t next_ = 0;   // the end of the furthest read
  uint64_t ahead_ = 0;  // fetched or being fetched up to here
  uint64_t window_ = 0;
  uint64_t grown_at_ = 0;  // next_ when the window last grew
  uint32_t run_ = 0;       // adjoining reads
  bool late_ = false;

  std::optional<uint64_t> last_;  // where the last read began
  int64_t step_ = 0;              // from the one before
  uint32_t steps_ = 0;            // equal ones
  uint32_t depth_ = 0;            // reads to be ahead by
  uint32_t steps_ahead_ = 0;      // reads that are fetched already
};

// The streams of one file: a few, each a handle or a part of one. Not thread-safe.
class StreamTable {
 public:
  static constexpr size_t kMax = 4;

  // The stream that a read belongs to; a new one takes the place of the oldest.
  ReadStream& at(uint64_t id, uint64_t off, uint32_t size);
  void clear() { streams_.clear(); }

 private:
  std::vector<ReadStream> streams_;
  uint64_t tick_ = 0;
};

}  // namespace cider::chunk
