// The writes to one chunk that are not yet cut into slices, and the slices that grow from them block by
// block.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/budget.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/interval_map.h"
#include "base/types.h"

namespace cider::chunk {

// A slice on its way to the store. Guarded by its file's mutex.
struct PendingSlice {
  struct Block {
    BufferChain data;  // empty once it is in the store
    uint32_t bytes = 0;
    bool begun = false;    // an upload of it was tried
    bool running = false;  // one is under way
    bool stored = false;
  };
  // A withheld slice lies beyond the end that a truncate is about to set: no upload of it begins until that
  // has failed. What is dropped will never be committed.
  enum class Fate { wanted, withheld, dropped };

  uint64_t id = 0;  // 0 until its first upload
  uint32_t pos = 0;
  uint32_t len = 0;
  std::vector<Block> blocks;  // all of block size, but for the last of a frozen slice
  int unstored = 0;
  int running = 0;  // uploads under way
  Fate fate = Fate::wanted;

  uint32_t end() const { return pos + len; }
  // As it is committed where its objects are its own.
  Slice record() const { return {pos, id, len, 0, len}; }
};

struct BlockUpload {
  std::shared_ptr<PendingSlice> slice;
  uint32_t index = 0;
  uint32_t small = 0;  // bytes of a slice that may go into a pack (pack.h); 0: it may not
};

// A piece of buffered data.
struct Piece {
  Buffer data;
  Piece part(uint32_t off, uint32_t len) const { return {data.slice(off, len)}; }
};

// Small writes are copied into these, one after the other, so that 4 KiB do not hold on to a buffer of 1 MiB.
// The pages grow from 4 to 64 KiB: a tiny file costs a tiny page. Bytes handed out are never written again.
class CopyPages {
 public:
  explicit CopyPages(MemoryBudget* budget) : budget_(budget) {}
  Buffer copy(const Buffer& data);
  // `left` and `right` as one Buffer if copy() has put them side by side, else an empty one.
  Buffer joined(const Buffer& left, const Buffer& right) const;

 private:
  MemoryBudget* budget_;
  Buffer page_;
  size_t used_ = 0;
};

// Not thread-safe. Positions are in the chunk.
//
// All slices of an OpenChunk are committed together, in the order of freeze(), so what covers what is decided
// by that order: a growing slice never extends over one that was begun later, and what is still in pieces at
// the end comes last.
class OpenChunk {
 public:
  OpenChunk(uint32_t block_size, MemoryBudget* budget, Monotonic::time_point now);

  // Takes over `data`; whole blocks that came about are appended to `full`. Returns how many buffered bytes
  // it replaced.
  uint32_t write(uint32_t pos, Buffer data, Monotonic::time_point now, std::vector<BlockUpload>& full);

  // Cuts everything that is left: the slices in commit order; blocks still to be stored are appended to
  // `rest`.
  std::vector<std::shared_ptr<PendingSlice>> freeze(std::vector<BlockUpload>& rest);

  // No more writes should be added: the chunk's end is reached, as much as a chunk has been cut, or there are
  // very many runs.
  bool is_complete() const;

  uint32_t end() const;
  // Bytes in pieces, which stay in memory until freeze().
  uint32_t open_bytes() const { return open_bytes_; }
  Monotonic::time_point first_write() const { return first_write_; }
  Monotonic::time_point last_write() const { return last_write_; }

  const std::vector<std::shared_ptr<PendingSlice>>& growing() const { return growing_; }
  const IntervalMap<Piece>& pieces() const { return pieces_; }

 private:
  using Runs = std::map<uint32_t, uint32_t>;  // begin -> end of bytes without a gap

  Runs::iterator add_run(uint32_t begin, uint32_t end);
  void erase_run(uint32_t begin, uint32_t end);
  void add_piece(uint32_t pos, uint32_t end, Buffer data);
  void cut_blocks(uint32_t begin, uint32_t end, std::vector<BlockUpload>& full);
  bool may_extend(size_t growing, uint32_t end) const;
  std::shared_ptr<PendingSlice> begin_slice(uint32_t pos);
  void append(const std::shared_ptr<PendingSlice>& slice, uint32_t end, std::vector<BlockUpload>& uploads);

  const uint32_t block_size_;
  CopyPages pages_;
  IntervalMap<Piece> pieces_;
  Runs runs_;  // the same bytes as pieces_
  uint32_t open_bytes_ = 0;
  uint64_t cut_bytes_ = 0;
  std::vector<std::shared_ptr<PendingSlice>> growing_;  // oldest first
  Monotonic::time_point first_write_;
  Monotonic::time_point last_write_;
};

}  // namespace cider::chunk
