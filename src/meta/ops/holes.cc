#include "meta/ops/holes.h"

#include <algorithm>

namespace cider::meta {
namespace {

void append_hole(Transaction& tx, Ino ino, uint64_t from, uint64_t to) {
  uint32_t index = static_cast<uint32_t>(from / kChunkSize);
  std::string record;
  append_slice(&record,
               Slice{static_cast<uint32_t>(from % kChunkSize), 0, 0, 0, static_cast<uint32_t>(to - from)});
  tx.write(AppendSlices{ino, index, std::move(record), nullptr});
}

}  // namespace

void append_holes(Transaction& tx, Ino ino, uint64_t from, uint64_t to) {
  if (from >= to) return;
  uint64_t first = from / kChunkSize;
  uint64_t last = to / kChunkSize;
  append_hole(tx, ino, from, std::min(to, (first + 1) * kChunkSize));
  if (last > first + 1) {
    tx.write(HoleOverChunks{ino, static_cast<uint32_t>(first + 1), static_cast<uint32_t>(last - 1)});
  }
  if (last > first && to % kChunkSize != 0) append_hole(tx, ino, last * kChunkSize, to);
}

void append_holes_beyond_end(Transaction& tx, Ino ino, uint64_t from, uint64_t to) {
  constexpr uint64_t kMany = 10'000 * kChunkSize;
  if (to - from < kMany) return append_holes(tx, ino, from, to);
  append_holes(tx, ino, from, (from / kChunkSize + 1) * kChunkSize);
  append_holes(tx, ino, to / kChunkSize * kChunkSize, to);
}

}  // namespace cider::meta
