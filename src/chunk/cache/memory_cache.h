// Blocks in memory: `--cache-dir memory`, and where no cache directory can be used.
#pragma once

#include <shared_mutex>
#include <unordered_map>

#include "base/budget.h"
#include "base/clock.h"
#include "chunk/block_cache.h"
#include "chunk/cache/block_index.h"
#include "chunk/cache/cache_metrics.h"
#include "chunk/cache/cache_options.h"

namespace cider::chunk {

// Holds copies, in memory of its own: up to `size` bytes beside the memory budget of the data path.
class MemoryCache : public BlockCache {
 public:
  struct Options {
    uint64_t size = 100 << 20;
    uint64_t items = 0;
    Eviction eviction = Eviction::two_random;
    std::chrono::seconds expire{0};
    uint32_t block_size = 4 << 20;
    bool partial_only = false;
    bool large_write = false;
    bool only_asked = false;
  };
  MemoryCache(Options options, MetricSet& metrics);
  ~MemoryCache() override;

  bool read(const BlockName& block, uint32_t off, std::span<std::byte> out) override;
  bool contains(const BlockName& block) const override;
  void offer(const BlockName& block, BufferChain data, Origin origin) override;
  void remove(const BlockName& block) override;
  bool takes_reads() const override { return !options_.only_asked; }
  std::string where(const BlockName& block) const override { return contains(block) ? "memory" : ""; }

  // Whether a block that is offered for `origin` is to be cached at all.
  static bool admits(const Options& options, const BlockName& block, Origin origin);

 private:
  struct Hash {
    size_t operator()(const BlockName& b) const { return (b.slice * 31 + b.index) * 0x9e3779b97f4a7c15; }
  };
  bool make_room(uint64_t bytes);
  void expire_some();
  void forget(const BlockName& block);
  BlockIndex::Tick now() const;

  const Options options_;
  CacheMetrics metrics_;
  MemoryBudget budget_;
  const Monotonic::time_point start_ = Monotonic::now();
  BlockIndex index_;
  std::atomic<size_t> next_part_{0};
  mutable std::shared_mutex mutex_;
  std::unordered_map<BlockName, Buffer, Hash> blocks_;
};

}  // namespace cider::chunk
