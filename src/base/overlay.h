// What a chunk's slice records show: later records cover earlier ones, gaps and records with id 0 are zeros.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/interval_map.h"
#include "base/types.h"

namespace cider {

// Bytes [off, ...) of slice `id`, which is `size` bytes long. id 0 is a hole.
struct SliceBytes {
  uint64_t id = 0;
  uint32_t size = 0;
  uint32_t off = 0;
  SliceBytes part(uint32_t skip, uint32_t) const { return {id, size, id ? off + skip : 0}; }
};

// Not thread-safe. A record that reaches beyond the chunk or its slice is cut to what makes sense.
class Overlay {
 public:
  Overlay() = default;
  explicit Overlay(std::span<const Slice> records) {
    for (const Slice& record : records) add(record);
  }

  void add(const Slice& record);

  // How many records were added.
  size_t records() const { return records_; }

  // The extents of [begin, end), in order and without gaps: `pos` and `len` say where, id 0 where there are
  // zeros.
  std::vector<Slice> extents(uint32_t begin, uint32_t end) const;

  const IntervalMap<SliceBytes>& map() const { return map_; }

 private:
  IntervalMap<SliceBytes> map_;
  size_t records_ = 0;
};

// The extents of `records` (oldest first) that some record reaches: sorted, not overlapping, holes with id 0.
std::vector<Slice> visible_parts(std::span<const Slice> records);
// Overlay(records).extents(begin, end).
std::vector<Slice> filled_parts(std::span<const Slice> records, uint32_t begin, uint32_t end);

}  // namespace cider
