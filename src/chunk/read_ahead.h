// How far to read ahead of sequential readers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace cider::chunk {

struct ReadAheadLimits {
  uint64_t max_window = 32 << 20;  // bytes
  uint32_t step = 1 << 20;         // once the window is large, fetch at least this much at a time
};

// One reader that goes forward through a file. A window begins at 128 KiB and doubles while the reader keeps
// up with it, beyond `step` only when what was read ahead came too late: a near store needs no large window.
class ReadStream {
 public:
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  // True if a read at `off` goes on where this stream stands; reads of one stream may overtake each other a
  // little.
  bool continues(uint64_t off, uint32_t size) const;

  // Notes a read of [off, off+size) and answers what to fetch ahead now (nothing: begin == end).
  Range on_read(uint64_t off, uint32_t size, const ReadAheadLimits& limits);
  // Data that had been asked for ahead was not there in time.
  void on_late() { late_ = true; }

  uint64_t id = 0;
  uint64_t tick = 0;  // of the last use, for replacing the oldest
  uint64_t window() const { return window_; }

 private:
  uint64_t next_ = 0;   // the end of the furthest read
  uint64_t ahead_ = 0;  // fetched or being fetched up to here
  uint64_t window_ = 0;
  uint64_t grown_at_ = 0;  // next_ when the window last grew
  uint32_t run_ = 0;       // adjoining reads
  bool late_ = false;
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
