// What the commits of new slices share.
#pragma once

#include <string>

#include "meta/meta.h"
#include "meta/ops/holes.h"

namespace cider::meta {

// The times only so that Written::before is what the commit found.
inline constexpr Fields kWrittenFields =
    field::type | field::length | field::parent | field::nlink | field::mtime | field::ctime;

// Where a slice ends in its file.
inline uint64_t end_of(uint32_t index, const Slice& slice) {
  return index * kChunkSize + slice.pos + slice.len;
}

inline Status check_slice(uint32_t index, const Slice& slice) {
  uint64_t end = uint64_t{slice.pos} + slice.len;
  if (index >= kMaxFileLength / kChunkSize) return fail(EFBIG);
  if (slice.len == 0 || end > kChunkSize || uint64_t{slice.off} + slice.len > slice.size) {
    return fail(EINVAL, "slice " + std::to_string(slice.id) + " does not fit its chunk");
  }
  return {};
}

// What a write makes of the inode beside its records.
inline PatchNode written_patch(Ino ino, const Attr& after) {
  PatchNode patch{ino};
  patch.set = field::length | field::mtime;
  patch.touch_ctime = after.ctime;
  patch.values = after;
  return patch;
}

}  // namespace cider::meta
