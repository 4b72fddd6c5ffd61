// The blocks that a volume's store holds, and which of them nobody needs.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "chunk/block_store.h"
#include "cli/gc/tally.h"
#include "meta/gc/slice_table.h"
#include "object/object_store.h"

namespace cider::cli {

// 16 bytes for each block of the volume.
struct StoredBlock {
  uint64_t slice = 0;
  uint64_t index : 11 = 0;
  uint64_t bytes : 25 = 0;        // the plain length, as its name says
  uint64_t object_size : 28 = 0;  // as stored; the highest: more
};

struct StoredBlocks {
  std::deque<StoredBlock> blocks;  // that are old enough
  uint64_t scanned = 0;
  Tally skipped;       // younger, or no longer there
  uint64_t other = 0;  // objects whose names are no block's: left alone
};

// Lists what is below chunks/. Objects that were stored after `newest` are passed over: they may belong to
// slices that are still to be committed.
Result<StoredBlocks> list_blocks(object::ObjectStore& store, const chunk::Layout& layout, Time newest);

enum class BlockUse {
  in_file,   // a chunk's record names its slice, or a count says that somebody has it
  pending,   // the count says that nobody has its slice: about to be deleted
  replaced,  // delayed slices name it
  leaked,    // nothing names its slice, or the slice is not so long
};
BlockUse use_of(const StoredBlock& block, const meta::SliceTable& slices, const chunk::Layout& layout);

std::string key_of(const StoredBlock& block, const chunk::Layout& layout);

// Removes them by several threads; answers how many could not be.
uint64_t remove_blocks(object::ObjectStore& store, const chunk::Layout& layout,
                       const std::vector<StoredBlock>& blocks, int threads);

}  // namespace cider::cli
