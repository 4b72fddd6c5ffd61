// What buffered and uncommitted writes show of a chunk.
#pragma once

#include <cstdint>

#include "base/interval_map.h"
#include "chunk/file_state.h"
#include "chunk/reader.h"

namespace cider::chunk {

// Paints the pending writes of chunk `index` that lie in [begin, end), oldest first, over `view`. With the
// file locked.
void paint_pending(const FileState& file, uint32_t index, uint32_t block_size, uint32_t begin, uint32_t end,
                   IntervalMap<Source>& view);

}  // namespace cider::chunk
