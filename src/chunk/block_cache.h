// The seam to blocks that are kept near: on local disks or in memory. A cache is free to forget anything at
// any time, so nothing depends on it but speed.
//
// Thread-safe. No method fails: an error of a disk is logged, counted, and the block is taken for absent.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/buffer.h"

namespace cider::chunk {

// Block `index` of a slice; `bytes` is its plain length. What a block holds never changes.
struct BlockName {
  uint64_t slice = 0;
  uint32_t index = 0;
  uint32_t bytes = 0;
  auto operator<=>(const BlockName&) const = default;
};

class BlockCache {
 public:
  // Why a block is offered: caches may treat them differently. `asked`: somebody wants it kept (warmup, small
  // reads here and there), so that --cache-partial-only does not apply.
  enum class Origin { read, ahead, written, asked };

  virtual ~BlockCache() = default;

  // Reads bytes [off, off+out.size()) of a block into `out`, verified as the cache was told to. False if the
  // block is not there; `out` is then undefined.
  virtual bool read(const BlockName& block, uint32_t off, std::span<std::byte> out) = 0;
  virtual bool contains(const BlockName& block) const = 0;

  // False: what is read and written is not worth offering, only what somebody asks for.
  virtual bool takes_reads() const { return true; }

  // Offers a whole block. Never waits for a disk: the block is written in the background, until when `data`
  // is held (and so counts in its memory budget), or dropped if too much waits already.
  virtual void offer(const BlockName& block, BufferChain data, Origin origin) = 0;

  // As offer() of a block that is asked for, but waits for the disk instead of dropping it.
  virtual void put(const BlockName& block, BufferChain data) { offer(block, std::move(data), Origin::asked); }

  virtual void remove(const BlockName& block) = 0;

  // Where a block is, for people: a folder, say, or "memory"; empty if it isn't cached.
  virtual std::string where(const BlockName& block) const { return contains(block) ? "cache" : ""; }
};

}  // namespace cider::chunk
