#include "chunk/cache/memory_cache.h"

#include <cstring>
#include <limits>
#include <mutex>

namespace cider::chunk {

MemoryCache::MemoryCache(Options options, MetricSet& metrics)
    : options_(options), metrics_(metrics), budget_(std::numeric_limits<size_t>::max()) {}

MemoryCache::~MemoryCache() {
  blocks_.clear();
  metrics_.blocks.add(-static_cast<double>(index_.blocks()));
  metrics_.bytes.add(-static_cast<double>(index_.bytes()));
}

BlockIndex::Tick MemoryCache::now() const {
  return static_cast<BlockIndex::Tick>((Monotonic::now() - start_) / Seconds(4) + 2);
}

bool MemoryCache::admits(const Options& options, const BlockName& block, Origin origin) {
  if (origin == Origin::asked) return true;
  if (options.only_asked) return false;
  if (block.bytes < options.block_size) return true;
  return origin == Origin::written ? options.large_write : !options.partial_only;
}

bool MemoryCache::read(const BlockName& block, uint32_t off, std::span<std::byte> out) {
  {
    std::shared_lock lock(mutex_);
    auto found = blocks_.find(block);
    if (found != blocks_.end() && uint64_t{off} + out.size() <= found->second.size()) {
      std::memcpy(out.data(), found->second.data() + off, out.size());
      index_.touch(block, now());
      metrics_.hits.add();
      metrics_.hit_bytes.add(static_cast<double>(out.size()));
      return true;
    }
  }
  metrics_.miss.add();
  metrics_.miss_bytes.add(static_cast<double>(out.size()));
  return false;
}

bool MemoryCache::contains(const BlockName& block) const {
  return index_.contains(block);
}

void MemoryCache::offer(const BlockName& block, BufferChain data, Origin origin) {
  if (total_size(data) != block.bytes || !admits(options_, block, origin) || index_.contains(block)) return;
  expire_some();
  if (!make_room(BlockIndex::cost(block.bytes))) return metrics_.drops.add();
  Buffer copy = Buffer::allocate(block.bytes, &budget_);
  size_t at = 0;
  for (const Buffer& piece : data) {
    std::memcpy(copy.mutable_data() + at, piece.data(), piece.size());
    at += piece.size();
  }
  std::lock_guard lock(mutex_);
  if (!blocks_.emplace(block, std::move(copy)).second) return;
  index_.add(block, now());
  metrics_.blocks.add();
  metrics_.bytes.add(static_cast<double>(BlockIndex::cost(block.bytes)));
  metrics_.writes.add();
  metrics_.write_bytes.add(block.bytes);
}

bool MemoryCache::make_room(uint64_t bytes) {
  constexpr int kMostMisses = 16;
  int misses = 0;
  while (index_.bytes() + bytes > options_.size ||
         (options_.items != 0 && index_.blocks() >= options_.items)) {
    if (options_.eviction == Eviction::none || bytes > options_.size) return false;
    auto victim = index_.pick(options_.eviction == Eviction::lru ? 16 : 2);
    if (!victim) {
      if (++misses == kMostMisses) return false;
      continue;
    }
    forget(victim->name);
    metrics_.evicts.add();
  }
  return true;
}

void MemoryCache::expire_some() {
  if (options_.expire.count() == 0) return;
  const auto age = static_cast<BlockIndex::Tick>(options_.expire / Seconds(4) + 1);
  if (now() <= age) return;
  for (const BlockIndex::Found& old : index_.older(next_part_++, now() - age)) {
    forget(old.name);
    metrics_.evicts.add();
  }
}

void MemoryCache::forget(const BlockName& block) {
  std::lock_guard lock(mutex_);
  if (blocks_.erase(block) == 0) return;
  index_.remove(block);
  metrics_.blocks.add(-1);
  metrics_.bytes.add(-static_cast<double>(BlockIndex::cost(block.bytes)));
}

void MemoryCache::remove(const BlockName& block) {
  forget(block);
}

}  // namespace cider::chunk
