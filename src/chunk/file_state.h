// What the data path knows of one inode: buffered writes, the log of commits to come, cached slice records,
// read streams.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/overlay.h"
#include "base/result.h"
#include "base/types.h"
#include "chunk/open_chunk.h"
#include "chunk/read_ahead.h"

namespace cider::chunk {

// One entry of an inode's commit log. Entries leave in order.
struct LogEntry {
  uint64_t seq = 0;
  bool is_change = false;  // a metadata change of ordered(), else slices of one chunk
  uint32_t index = 0;
  std::vector<std::shared_ptr<PendingSlice>> slices;
  Time mtime;            // of the last write in it
  bool unclear = false;  // a commit was tried and may have happened: its objects must stay
  size_t upkeep = 0;     // memory of the bookkeeping, which counts as unwritten data until the entry goes
  // Of a truncate: what lies beyond its end, and would come before it otherwise (withhold.h).
  std::vector<LogEntry> withheld;
  bool applying = false;  // the change is being made

  bool ready() const;    // all blocks are in the store
  uint64_t end() const;  // in the file
};

// A flush that waits for the log up to `target`.
struct FlushWaiter {
  uint64_t target = 0;
  std::optional<Error> error;  // data below the target was lost
};

// Slice records of one chunk, as far as they are known.
struct ChunkRecords {
  std::optional<Overlay> overlay;
  uint32_t appended = 0;  // own commits while the list was not known
};

struct FileState {
  explicit FileState(Ino number) : ino(number) {}

  const Ino ino;
  std::mutex mutex;  // guards all below
  std::condition_variable_any changed;
  Monotonic::time_point last_used{};

  // Writes. `open` comes after `log` in time.
  std::map<uint32_t, OpenChunk> open;
  std::deque<LogEntry> log;
  uint64_t last_seq = 0;
  Time mtime;               // of the last accepted write
  bool committing = false;  // a commit of the log's head is under way or will be tried again
  size_t in_commit = 0;     // entries at the log's head that the commit under way has taken
  size_t repeat = 0;        // that many entries were in a commit with unclear outcome; they go again together
  bool one_by_one = false;  // a joint commit met a limit: the entries alone may fit
  uint64_t failed_uploads = 0;  // ever
  int failed_in_row = 0;
  Error upload_error;  // the last one
  std::vector<FlushWaiter*> waiters;
  std::optional<Error> untold_error;  // data was lost while nobody waited; told to the next flush
  Monotonic::time_point asked_if_gone{};

  // Reads.
  std::unordered_map<uint32_t, ChunkRecords> records;
  uint64_t records_version = 0;  // moves when cached records change or become doubtful
  StreamTable streams;

  bool has_pending() const { return !open.empty() || !log.empty(); }
  uint64_t pending_end() const;
};

// All inodes in use. Thread-safe.
class FileTable {
 public:
  std::shared_ptr<FileState> get(Ino ino);         // makes it
  std::shared_ptr<FileState> find(Ino ino) const;  // null if unknown
  std::vector<std::shared_ptr<FileState>> all() const;
  // Forgets inodes without pending data that were not used for a while. False when none is left.
  bool sweep(Monotonic::time_point now);

 private:
  static constexpr size_t kShards = 16;
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<Ino, std::shared_ptr<FileState>> files;
  };
  Shard& shard(Ino ino) { return shards_[ino % kShards]; }
  const Shard& shard(Ino ino) const { return shards_[ino % kShards]; }

  Shard shards_[kShards];
};

}  // namespace cider::chunk
