// The slice list of a chunk: 24 bytes per record (pos u32, id u64, size u32, off u32, len u32), oldest first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace cider::meta {

inline constexpr size_t kSliceRecordSize = 24;
inline constexpr uint32_t kMaxSlicesPerChunk = 2500;  // JuiceFS compacts in the foreground here

void append_slice(std::string* records, const Slice& slice);
std::string encode_slices(const std::vector<Slice>& slices);
// EIO if the length is no multiple of 24, or a record reaches beyond its slice or the chunk.
Result<std::vector<Slice>> decode_slices(std::string_view records);

// Slices replaced by compaction, kept for the trash days: 12 bytes each (id u64, size u32).
struct DelayedSlice {
  uint64_t id = 0;
  uint32_t size = 0;
  bool operator==(const DelayedSlice&) const = default;
};
std::string encode_delayed_slices(const std::vector<DelayedSlice>& slices);
Result<std::vector<DelayedSlice>> decode_delayed_slices(std::string_view records);

}  // namespace cider::meta
