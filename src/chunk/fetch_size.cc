// How much of a block is fetched: the range that was asked for, or all of it.
#include <algorithm>

#include "base/log.h"
#include "chunk/fetcher.h"

namespace cider::chunk {
namespace {

// Fetching for the cache leaves this much of the budget to readers and writers.
constexpr double kFillShare = 0.5;
// A read of up to this part of a block is one at random, unless it begins the block.
constexpr uint32_t kPart = 4;
// Blocks up to this size are small enough that a second read of one makes it worth having.
constexpr uint32_t kSmallBlock = 2 << 20;

}  // namespace

// Calls `visit` for the parts of `range` in each block.
void Fetcher::each_part(const SliceRange& range, FunctionRef<void(const SliceRange&)> visit) const {
  const uint32_t block = blocks_.layout().block_size;
  const uint32_t end = range.off + range.len;
  for (uint32_t at = range.off; at < end;) {
    const auto to = static_cast<uint32_t>(std::min<uint64_t>(end, (uint64_t{at} / block + 1) * block));
    visit({range.id, range.size, at, to - at});
    at = to;
  }
}

std::vector<SliceRange> Fetcher::parts_of(std::span<const SliceRange> ranges) const {
  std::vector<SliceRange> parts;
  for (const SliceRange& range : ranges) {
    each_part(range, [&](const SliceRange& part) { parts.push_back(part); });
  }
  return parts;
}

BlockName Fetcher::block_of(const SliceRange& range) const {
  return blocks_.block_at(range.id, range.size, range.off);
}

SliceRange Fetcher::whole_block(const SliceRange& range) const {
  const uint32_t begin = range.off - range.off % blocks_.layout().block_size;
  return {range.id, range.size, begin, block_of(range).bytes};
}

// Whether the block, which is not in the cache, is fetched whole for a read of `part` of it. With the mutex
// held.
bool Fetcher::wants_whole(const SliceRange& part, bool sequential) {
  const BlockName block = block_of(part);
  if (blocks_.layout().whole_objects || block.bytes <= speed_.worthwhile()) return true;
  if (block.bytes <= kSmallBlock && touched_.meet(block)) return true;
  if (!fills()) return false;
  const bool at_random = part.off % blocks_.layout().block_size > 0 && part.len <= block.bytes / kPart;
  return sequential || !at_random;
}

// Fetches a block that was read in part for the cache, in the background, if little else is to do.
void Fetcher::fill(const SliceRange& part) {
  const SliceRange whole = whole_block(part);
  const BlockName block = block_of(part);
  if (blocks_.cache()->contains(block)) return;
  {
    std::lock_guard lock(mutex_);
    if (filling_.size() >= static_cast<size_t>(options_.fills) || starving_ > 0) return;
    if (!budget_.has_room(whole.len, kFillShare) || !filling_.insert(block).second) return;
  }
  pool_.submit([this, whole, block] {
    {
      Buffer buffer = Buffer::allocate(whole.len, &memory_);
      bool cached = false;
      Status got = blocks_.read_block(
          block, 0, {buffer.mutable_data(), whole.len}, [](size_t) {}, cached, stop_.get_token());
      if (!got) log::debug("block not cached: " + got.error().to_string());
      if (got && !cached) blocks_.cache()->offer(block, {std::move(buffer)}, BlockCache::Origin::asked);
    }
    std::lock_guard lock(mutex_);
    filling_.erase(block);
  });
}

}  // namespace cider::chunk
