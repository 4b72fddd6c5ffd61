// SEEK_DATA and SEEK_HOLE, answered from the slice records: holes and gaps are holes, everything else is
// data.
#include <algorithm>

#include "base/overlay.h"
#include "meta/ops/env.h"

namespace cider::meta {

Result<uint64_t> Meta::seek(Ino ino, uint64_t off, bool data, uint64_t length) {
  if (off >= length) return fail(ENXIO);
  std::vector<uint32_t> present = TRY(store_->chunks_of(ino, length));
  std::sort(present.begin(), present.end());
  for (uint64_t at = off; at < length;) {
    uint64_t index = at / kChunkSize;
    uint64_t base = index * kChunkSize;
    uint64_t end = std::min(base + kChunkSize, length);
    auto next = std::lower_bound(present.begin(), present.end(), index);
    if (next == present.end() || *next != index) {  // a chunk without records is a hole
      if (!data) return at;
      if (next == present.end()) break;
      at = *next * kChunkSize;
      continue;
    }
    std::vector<Slice> records = TRY(chunk(ino, static_cast<uint32_t>(index)));
    for (const Slice& part : filled_parts(records, at - base, end - base)) {
      if ((part.id != 0) == data) return base + part.pos;
    }
    at = end;
  }
  if (data) return fail(ENXIO);
  return length;
}

}  // namespace cider::meta
