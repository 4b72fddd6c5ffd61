// What `warmup` does with the blocks of a slice: caches them, removes them from the cache, tells where they
// are.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "base/budget.h"
#include "base/result.h"
#include "chunk/block_cache.h"
#include "chunk/block_store.h"

namespace cider::chunk {

// Thread-safe. Slices are whole: `size` is the slice's own size.
class CacheFill {
 public:
  CacheFill(BlockStore& blocks, BlockCache& cache, MemoryBudget& budget)
      : blocks_(blocks), cache_(cache), budget_(budget) {}

  // Returns when all blocks that weren't cached are; the first error, when all were tried.
  Status fill(uint64_t slice, uint32_t size, std::stop_token stop);
  void evict(uint64_t slice, uint32_t size);
  // `found` hears where each block is: a folder, "memory", or "" for one that is not cached.
  void check(uint64_t slice, uint32_t size,
             const std::function<void(const std::string& where, uint32_t bytes)>& found);

 private:
  void each(uint64_t slice, uint32_t size, const std::function<void(const BlockName&)>& visit) const;

  BlockStore& blocks_;
  BlockCache& cache_;
  MemoryBudget& budget_;
};

}  // namespace cider::chunk
