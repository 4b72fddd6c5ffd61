// Small slices of several files in one object: a pack. It is one slice of one block, of which each file gets
// a range.
//
//   small slice ── PackLane ── pack ──> PUT ──> claim the members' places in their logs ──> one commit
//
// What a pack holds is fixed before its PUT: who drops out afterwards stays in the object as dead bytes, and
// each try of the PUT sends the same bytes. A member's data stays in memory until it is committed, so that it
// can be stored alone after all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "chunk/block_store.h"
#include "chunk/file_state.h"
#include "chunk/slice_catalog.h"

namespace cider::chunk {

struct PackLimits {
  uint32_t pack = 0;     // bytes
  uint32_t member = 0;   // bytes; 0: there are no packs
  size_t members = 128;  // one commit moves all of them
  static constexpr uint32_t kLargestPack = 4 << 20;
  static constexpr uint32_t kLargestMember = 256 << 10;
};

// Beyond a few MiB a pack brings little, while one small file that lives on keeps all of it.
inline PackLimits pack_limits(bool packing, uint32_t block_size, uint32_t pack_size,
                              size_t members = PackLimits{}.members) {
  PackLimits limits;
  limits.members = std::min(limits.members, members);
  limits.pack = std::min({block_size, pack_size, PackLimits::kLargestPack});
  if (packing) limits.member = std::min(PackLimits::kLargestMember, limits.pack / 4);
  return limits;
}

// A small slice, frozen, and alone in its log entry.
struct SmallSlice {
  std::shared_ptr<FileState> file;
  std::shared_ptr<PendingSlice> slice;
};

// One thread at a time works on a pack.
struct PendingPack {
  struct Member {
    SmallSlice small;
    uint32_t off = 0;
    uint32_t len = 0;
  };

  uint64_t id = 0;  // 0 until the first PUT
  uint32_t size = 0;
  BufferChain data;
  std::vector<Member> members;  // that have not dropped out
  Monotonic::time_point stored_at;
  bool claimed = false;  // each member is in commit at its log's head
  bool unclear = false;  // a commit was tried and may have happened
  NewPack commit;        // of `members`, once claimed

  BlockStore::SliceRef object() const { return {id, size}; }
};

}  // namespace cider::chunk
