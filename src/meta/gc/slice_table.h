// All slices of a volume and how they are named: 24 bytes for each.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "base/types.h"
#include "meta/store/store.h"

namespace cider::meta {

struct KnownSlice {
  uint64_t id = 0;
  uint32_t size = 0;
  uint32_t live = 0;            // bytes of it that chunks' records show, one with another; the highest: more
  uint32_t records : 29 = 0;    // of chunks and of delayed slices
  uint32_t in_chunk : 1 = 0;    // at least one is a chunk's
  uint32_t is_delayed : 1 = 0;  // at least one is of delayed slices
  uint32_t is_counted : 1 = 0;
  int32_t refs = 0;  // its count, where there is one
};

// Not thread-safe.
class SliceTable {
 public:
  void add_record(const Slice& record);  // of a chunk; holes are passed over
  void add_delayed(const DelayedSlice& slice);
  void add_count(const SliceCount& count);
  // To be called after all was added, before it is asked.
  void finish() { merge(); }

  std::span<const KnownSlice> all() const { return slices_; }  // sorted by id and size
  // With this id: none, one, or of several sizes on a volume that is damaged.
  std::span<const KnownSlice> of(uint64_t id) const;

 private:
  void add(const KnownSlice& slice);
  void merge();

  std::vector<KnownSlice> slices_;
  size_t merge_at_ = 1 << 16;
};

// Reads everything that names slices: chunks first, then delayed slices, as compaction moves slices from
// those to these, then counts. While others work on the volume, a slice may be found with more or fewer
// records than it has; one that moves from file to file meanwhile is named by its count at least. Slices
// whose ids are not `wanted` are passed over.
Status scan_slices(Store& store, SliceTable* table, FunctionRef<bool(uint64_t id)> wanted);
Status scan_slices(Store& store, SliceTable* table);

}  // namespace cider::meta
