// Ranges of a file that become holes.
#pragma once

#include "meta/model/slices.h"
#include "meta/store/transaction.h"

namespace cider::meta {

inline constexpr uint64_t kMaxFileLength = kChunkSize << 31;

// Hole records for [from, to): in its first and last chunk always, in those between only where there is a
// record to cover, as JuiceFS's truncate has it.
void append_holes(Transaction& tx, Ino ino, uint64_t from, uint64_t to);

}  // namespace cider::meta
