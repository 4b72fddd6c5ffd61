// Which blocks were met lately, in a fixed amount of memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "chunk/block_cache.h"

namespace cider::chunk {

// Not thread-safe. Forgets by chance what is older than a thousand others; never names one that was not met,
// but for a collision of 64-bit hashes.
class RecentBlocks {
 public:
  // Notes the block; true if it was there already.
  bool meet(const BlockName& block) {
    const uint64_t mark = (block.slice * 1031 + block.index) * 0x9e3779b97f4a7c15 | 1;
    uint64_t& place = marks_[mark >> (64 - kBits)];
    if (place == mark) return true;
    place = mark;
    return false;
  }

 private:
  static constexpr int kBits = 10;
  std::array<uint64_t, size_t{1} << kBits> marks_{};
};

}  // namespace cider::chunk
