// Slices as blocks in an object store: names, sizes, and reading and writing parts of a slice.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "base/buffer.h"
#include "base/result.h"
#include "object/object_store.h"

namespace cider::chunk {

// What the volume's setting fixes about its objects.
struct Layout {
  uint32_t block_size = 4 << 20;  // bytes, 64 KiB to 16 MiB
  bool hash_prefix = false;
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
  BlockStore(object::ObjectStore& store, Layout layout);

  const Layout& layout() const { return layout_; }

  // Reads bytes [off, off+out.size()) of a slice of `size` bytes straight from the store.
  Status read(uint64_t slice_id, uint32_t size, uint32_t off, std::span<std::byte> out, std::stop_token stop);

  // Write-back: blocks go to `staging` where it takes them, and are read from it while it has them. Set once,
  // before the first use.
  void stage_in(Staging* staging) { staging_ = staging; }

  // Stores one block. The data's length must be the block's length.
  Status write_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data, std::stop_token stop);

  // The same past staging: for staging itself, which needs it to survive a power loss.
  Status upload_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data, std::stop_token stop);
  Result<bool> has_object(uint64_t slice_id, uint32_t block_index, uint32_t block_bytes);
  Status remove_object(uint64_t slice_id, uint32_t block_index, uint32_t block_bytes);

  // True if the block at `off` is there but not as long as its name says, so that reading it again won't
  // help.
  bool is_damaged(uint64_t slice_id, uint32_t size, uint32_t off);

  // Removes all blocks of a slice; a missing block is no error.
  Status remove_slice(uint64_t slice_id, uint32_t size);

  // Makes the blocks of slices survive a power loss (see ObjectStore::sync).
  struct SliceRef {
    uint64_t id;
    uint32_t size;
  };
  Status sync(std::span<const SliceRef> slices);

 private:
  Status put_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data, std::stop_token stop);

  object::ObjectStore& store_;
  const Layout layout_;
  Staging* staging_ = nullptr;
};

}  // namespace cider::chunk
