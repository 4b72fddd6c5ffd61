// Slices whose blocks may not survive a power loss yet. Their records must not become durable before them:
// what a file had before would be lost with them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <stop_token>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "chunk/block_store.h"

namespace cider::chunk {

// Thread-safe. Slices that could not be synced stay, so that whoever asks for them next is told too.
class UnsyncedSlices {
 public:
  using Slices = std::vector<BlockStore::SliceRef>;
  using Sync = std::function<Status(std::span<const BlockStore::SliceRef>)>;

  // Beyond `most` slices, sync_overflow() has work to do.
  explicit UnsyncedSlices(Sync sync, size_t most = 64 << 10) : sync_(std::move(sync)), most_(most) {}

  // Before they are committed. True if the caller must sync() them before, as somebody is making what is
  // committed durable.
  bool add(Ino ino, Slices slices);

  // Returns when what was added for `ino` is synced, be it by another caller, with the error if it isn't.
  // EINTR on `stop`.
  Status sync(Ino ino, std::stop_token stop);

  // Syncs what was added, for all inodes. Who could not be synced learns of it in its own sync().
  void sync_all();

  // Syncs all, then calls `metadata`, which makes the records that are committed durable.
  Status sync_with(std::move_only_function<Status()> metadata);

  // Syncs those of the inodes that wait longest while there are too many.
  void sync_overflow();

 private:
  using Batch = std::unordered_map<Ino, Slices>;
  struct Waiting {
    Slices slices;
    std::list<Ino>::iterator place;
  };

  void put(Ino ino, Slices slices);
  void take(Ino ino, Batch& batch);
  Status run(std::unique_lock<std::mutex>& lock, Batch batch);

  const Sync sync_;
  const size_t most_;

  std::mutex mutex_;
  std::condition_variable_any ended_;
  size_t count_ = 0;      // of slices waiting
  std::list<Ino> order_;  // of those in waiting_, the longest there first
  std::unordered_map<Ino, Waiting> waiting_;
  uint64_t runs_ = 0;  // so far
  std::map<uint64_t, std::vector<Ino>> running_;
  int metadata_syncs_ = 0;  // under way
};

}  // namespace cider::chunk
