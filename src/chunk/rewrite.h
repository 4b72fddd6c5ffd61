// Writing the bytes of several slices as one new slice, for compaction.
#pragma once

#include <span>
#include <stop_token>

#include "base/budget.h"
#include "base/result.h"
#include "base/types.h"
#include "chunk/block_store.h"
#include "chunk/slice_catalog.h"

namespace cider::chunk {

// See DataPath::rewrite. Holds one block in memory. If it fails, no object is left.
Result<Slice> rewrite_slices(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget,
                             std::span<const Slice> parts, std::stop_token stop);

}  // namespace cider::chunk
