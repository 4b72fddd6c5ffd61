// Which blocks a cache directory holds: a hash table of 16 bytes an entry (open addressing, 70 to 88 % full),
// because a million blocks must not cost more than 24 MB.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "chunk/block_cache.h"

namespace cider::chunk {

// Thread-safe: locks of shards, held for a few memory accesses.
class BlockIndex {
 public:
  // Units of four seconds since an instant that the owner chooses; 0 is the oldest. Up to 2^22 - 1 (194
  // days).
  using Tick = uint32_t;
  static constexpr Tick kMaxTick = (1u << 22) - 1;

  struct Found {
    BlockName name;
    Tick used = 0;
    bool staged = false;
  };

  BlockIndex();
  ~BlockIndex();

  // Adds a block, or notes that it was used. True if it is new. `staged` blocks are never picked for
  // eviction.
  bool add(const BlockName& name, Tick now, bool staged = false);
  // Notes a use; false if the block isn't there.
  bool touch(const BlockName& name, Tick now);
  bool contains(const BlockName& name) const;
  std::optional<Found> remove(const BlockName& name);
  // Only if it was not used since it was picked.
  bool remove_unused(const Found& picked);
  void set_staged(const BlockName& name, bool staged);

  // Of `tries` entries at random places the one that was used longest ago, among those used in the same four
  // seconds the largest; nothing if all of them are staged or the index is empty. Looks at a few entries,
  // however many there are.
  std::optional<Found> pick(int tries);
  // An entry at a random place.
  std::optional<Found> any();

  // A scan of the directory: what has been neither seen nor added between begin_scan() and end_scan() is
  // forgotten. What is new to the index counts as used at tick 1.
  void begin_scan();
  bool see(const BlockName& name);    // true if it is new
  std::vector<BlockName> end_scan();  // what was forgotten
  void clear();

  // Blocks of one of kShards parts of the index that were last used before `cutoff`, but for staged ones.
  std::vector<Found> older(size_t part, Tick cutoff) const;
  static constexpr size_t kShards = 64;

  size_t blocks() const { return blocks_.load(std::memory_order_relaxed); }
  // What the blocks take: length and 4096 each, as JuiceFS counts.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  size_t memory() const;  // bytes of the table
  // Entries that pick() and any() have looked at; for tests.
  uint64_t steps() const { return steps_.load(std::memory_order_relaxed); }

  static uint64_t cost(uint32_t bytes) { return uint64_t{bytes} + 4096; }

 private:
  struct Entry;
  struct Shard;

  Shard& shard(uint64_t hash) const;
  std::optional<Found> random_entry(bool evictable);
  uint64_t random();
  void count(const BlockName& name, bool added);

  std::unique_ptr<Shard[]> shards_;
  std::atomic<size_t> blocks_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> steps_{0};
  std::atomic<uint64_t> random_{0x9e3779b97f4a7c15};
  std::atomic<bool> scan_{false};  // what the mark of entries that were seen by the last scan is
};

}  // namespace cider::chunk
