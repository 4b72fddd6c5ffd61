// What `gc --compact` does: chunks of several records become one slice each, and packs of which little is
// still in use are left by those files that have it.
#pragma once

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "chunk/block_store.h"
#include "cli/gc/stored_blocks.h"
#include "meta/meta.h"
#include "object/rate_limit.h"

namespace cider::cli {

struct Compacted {
  uint64_t chunks = 0;
  uint64_t records = 0;  // that these had
  uint64_t failed = 0;
};
// Compacts every chunk of several records.
Result<Compacted> compact_chunks(meta::Meta& meta, int threads);

// Ids and sizes, sorted, of slices of one block of which less than half is in use, and that are among the
// blocks: so they are old.
using SparsePacks = std::vector<std::pair<uint64_t, uint32_t>>;
SparsePacks find_sparse_packs(const StoredBlocks& stored, const meta::SliceTable& slices,
                              const chunk::Layout& layout);

struct Repacked {
  uint64_t packs = 0;  // new ones
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t failed = 0;
};
// Moves what files have of these slices to new ones, at a limited rate.
Result<Repacked> leave_packs(meta::Meta& meta, const SparsePacks& packs, const chunk::Layout& layout);

}  // namespace cider::cli
