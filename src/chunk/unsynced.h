// Slices that are committed but that no fsync has covered yet.
#pragma once

#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "chunk/block_store.h"

namespace cider::chunk {

// Bounded: who takes the overflow must sync it. Thread-safe.
class UnsyncedSlices {
 public:
  using Slices = std::vector<BlockStore::SliceRef>;

  void add(Ino ino, Slices slices);
  // Takes all of `ino`; they must be synced, or added again.
  Slices take(Ino ino);
  // Takes those of the inodes that are remembered longest while there are too many; empty when there are not.
  std::pair<Ino, Slices> take_overflow();

 private:
  static constexpr size_t kMost = 64 << 10;  // 1 MiB

  std::mutex mutex_;
  size_t count_ = 0;
  std::unordered_map<Ino, Slices> slices_;
  std::deque<Ino> order_;
};

}  // namespace cider::chunk
