// Reading ahead over files. Who reads small files in the order of their inodes, as they were written (cp -r,
// tar, a data set), will want those that follow: their data is fetched meanwhile, for a growing number of
// files, with one question to the catalog for many of them.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/types.h"
#include "chunk/fetcher.h"
#include "chunk/slice_catalog.h"

namespace cider::chunk {

// The readers of one mount that go from inode to inode: a few. Not thread-safe.
class InodeRuns {
 public:
  static constexpr size_t kMax = 4;
  static constexpr uint64_t kNear = 16;        // threads that share the work overtake each other by so many
  static constexpr uint64_t kFew = 3;          // files in order, before which nothing is read ahead
  static constexpr uint64_t kFirstWindow = 8;  // files
  static constexpr uint64_t kLastWindow = 64;

  struct Range {
    Ino begin = 0;
    Ino end = 0;
  };

  // Notes that a file is read, and answers which files to fetch ahead now.
  std::optional<Range> on_read(Ino ino);
  // Of `asked`, an answer of on_read(), only the files below `end` were fetched.
  void cut(Range asked, Ino end);

 private:
  struct Run {
    Ino last = 0;
    uint64_t files = 0;
    Ino asked = 0;  // fetched ahead below this
    uint64_t window = kFirstWindow;
    uint64_t tick = 0;
  };
  Run& at(Ino ino);

  std::vector<Run> runs_;
  uint64_t tick_ = 0;
};

// Thread-safe.
class FilesAhead {
 public:
  // Fetches at most `max_bytes` for one question; 0: nothing.
  FilesAhead(SliceCatalog& catalog, Fetcher& fetcher, uint32_t block_size, uint64_t max_bytes)
      : catalog_(catalog), fetcher_(fetcher), block_size_(block_size), max_bytes_(max_bytes) {}

  // The front of a file of `length` bytes is read. Never waits.
  void on_front(Ino ino, uint64_t length);

 private:
  bool is_small(const std::vector<Slice>& records) const;
  void fetch(InodeRuns::Range range);

  SliceCatalog& catalog_;
  Fetcher& fetcher_;
  const uint32_t block_size_;
  const uint64_t max_bytes_;
  std::mutex mutex_;
  InodeRuns runs_;
};

}  // namespace cider::chunk
