// Slices as blocks in an object store: names, sizes, and reading and writing parts of a slice.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "base/buffer.h"
#include "base/function_ref.h"
#include "base/result.h"
#include "base/scratch.h"
#include "chunk/block_cache.h"
#include "chunk/codec.h"
#include "object/object_store.h"

namespace cider::chunk {

// What the volume's setting fixes about its objects.
struct Layout {
  uint32_t block_size = 4 << 20;  // bytes, 64 KiB to 16 MiB
  bool hash_prefix = false;
  const Codec* codec = nullptr;  // null: blocks are stored as they are
  bool whole_objects = false;    // compressed or encrypted: any part of a block costs the whole object
};

// `chunks/<id/1e6>/<id/1e3>/<id>_<index>_<bytes>`, or with hash prefix `chunks/<id%256 as
// %02X>/<id/1e6>/<id>_<index>_<bytes>` (without the volume's name: the store handed in carries it as prefix).
// `bytes` is the block's plain length.
std::string block_key(const Layout& layout, uint64_t slice_id, uint32_t block_index, uint32_t block_bytes);

// Length of block `index` of a slice of `size` bytes.
uint32_t block_length(const Layout& layout, uint32_t slice_size, uint32_t block_index);

class Staging;

// Thread-safe.
class BlockStore {
 public:
  // What compression needs is counted in `budget`, which outlives this; null: nowhere. `cache`, which may be
  // null, is asked before the store, and offered what is written.
  BlockStore(object::ObjectStore& store, Layout layout, MemoryBudget* budget = nullptr,
             BlockCache* cache = nullptr);

  const Layout& layout() const { return layout_; }
  BlockCache* cache() const { return cache_; }
  // The block of a slice of `size` bytes that holds byte `off`.
  BlockName block_at(uint64_t slice_id, uint32_t size, uint32_t off) const;

  // Reads bytes [off, off+out.size()) of a slice of `size` bytes. EBADMSG for a block that is there but is
  // not what was stored.
  Status read(uint64_t slice_id, uint32_t size, uint32_t off, std::span<std::byte> out, std::stop_token stop);
  // As read(), of one block; see ObjectStore::get_in_order. `cached` is set if the cache had it.
  Status read_block(const BlockName& block, uint32_t off, std::span<std::byte> out,
                    FunctionRef<void(size_t)> arrived, bool& cached, std::stop_token stop);

  // Write-back: blocks go to `staging` where it takes them, and are read from it while it has them. Set once,
  // before the first use.
  void stage_in(Staging* staging) { staging_ = staging; }

  // Stores one block. The data's length must be the block's length.
  Status write_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data, std::stop_token stop);

  // As write_block(), but never to staging: what replaces data that others have must be where they find it.
  Status write_through(uint64_t slice_id, uint32_t block_index, const BufferChain& data,
                       std::stop_token stop);
  // For staging: past it, and so that the object survives a power loss.
  Status upload_block(const BlockName& block, const BufferChain& data, std::stop_token stop);
  Result<bool> has_object(const BlockName& block);
  Status remove_object(const BlockName& block);

  // Asked when a read has failed: true if the block at `off` is there but is not what its name says, so that
  // reading it again won't help. One that must be read whole is read a second time for this, others are told
  // by their length.
  bool is_damaged(uint64_t slice_id, uint32_t size, uint32_t off, std::stop_token stop = {});

  // Removes all blocks of a slice; a missing block is no error.
  Status remove_slice(uint64_t slice_id, uint32_t size);

  // Makes the blocks of slices survive a power loss (see ObjectStore::sync).
  struct SliceRef {
    uint64_t id;
    uint32_t size;
  };
  Status sync(std::span<const SliceRef> slices);

 private:
  std::string key_of(const BlockName& block) const;
  Status read_object(const BlockName& block, uint32_t off, std::span<std::byte> out,
                     FunctionRef<void(size_t)> arrived, std::stop_token stop);
  Status read_whole(const std::string& key, std::span<std::byte> plain, std::stop_token stop);
  Status put_block(const BlockName& block, const BufferChain& data, std::stop_token stop);
  Result<Buffer> compress(const BufferChain& data, std::stop_token stop);

  object::ObjectStore& store_;
  const Layout layout_;
  BlockCache* const cache_;
  Staging* staging_ = nullptr;
  // Reads are apart from uploads, which give memory back and must not wait for them. Who reads a part of a
  // block takes first of parts_, then of decompressing_.
  Scratch compressing_;
  Scratch decompressing_;
  Scratch parts_;
};

}  // namespace cider::chunk
