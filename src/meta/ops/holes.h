// Ranges of a file that become holes.
#pragma once

#include "meta/model/slices.h"
#include "meta/store/transaction.h"

namespace cider::meta {

inline constexpr uint64_t kMaxFileLength = kChunkSize << 31;

// Chunks that a file of this length reaches into.
inline uint32_t chunk_count(uint64_t length) {
  return static_cast<uint32_t>((length + kChunkSize - 1) / kChunkSize);
}

// About halfway between two offsets of a file that lie more than two chunks apart: where a range of more
// chunks than one commit takes (kTooManyChunks) is parted.
inline uint64_t halfway(uint64_t from, uint64_t to) {
  return (from / kChunkSize + to / kChunkSize) / 2 * kChunkSize;
}

// Hole records for [from, to): in its first and last chunk always, in those between only where there is a
// record to cover, as JuiceFS's truncate has it.
void append_holes(Transaction& tx, Ino ino, uint64_t from, uint64_t to);
// The same where a file grows from one length to another. Whoever made it shorter has covered what it left
// there, so of very many chunks only the first and the last are.
void append_holes_beyond_end(Transaction& tx, Ino ino, uint64_t from, uint64_t to);

}  // namespace cider::meta
