// Keeping buffered data that a truncate will cut off away from the store.
#pragma once

#include <cstdint>
#include <vector>

#include "chunk/file_state.h"

namespace cider::chunk {

// Takes what lies beyond byte `length` out of the log, as far as that changes nothing should it be put back
// at the log's end: not what a commit or a flush is at work on, nor what was written before another change. A
// slice across `length` is cut in two, behind the blocks whose upload has begun. With the file locked, and
// all of it frozen.
std::vector<LogEntry> withhold(FileState& file, uint64_t length, uint32_t block_size);

}  // namespace cider::chunk
