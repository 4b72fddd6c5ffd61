#include "chunk/block_store.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "chunk/staging.h"

namespace cider::chunk {

std::string block_key(const Layout& layout, uint64_t slice_id, uint32_t block_index, uint32_t block_bytes) {
  char key[96];
  unsigned long long id = slice_id;
  if (layout.hash_prefix) {
    std::snprintf(key, sizeof key, "chunks/%02X/%llu/%llu_%u_%u", static_cast<unsigned>(id % 256),
                  id / 1000000, id, block_index, block_bytes);
  } else {
    std::snprintf(key, sizeof key, "chunks/%llu/%llu/%llu_%u_%u", id / 1000000, id / 1000, id, block_index,
                  block_bytes);
  }
  return key;
}

uint32_t block_length(const Layout& layout, uint32_t slice_size, uint32_t block_index) {
  uint64_t begin = uint64_t{block_index} * layout.block_size;
  if (begin >= slice_size) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(layout.block_size, slice_size - begin));
}

BlockStore::BlockStore(object::ObjectStore& store, Layout layout) : store_(store), layout_(layout) {}

Status BlockStore::read(uint64_t slice_id, uint32_t size, uint32_t off, std::span<std::byte> out,
                        std::stop_token stop) {
  if (uint64_t{off} + out.size() > size) {
    return fail(EIO, "slice " + std::to_string(slice_id) + " of " + std::to_string(size) +
                         " bytes is read up to " + std::to_string(off + out.size()));
  }
  while (!out.empty()) {
    uint32_t index = off / layout_.block_size;
    uint32_t begin = off % layout_.block_size;
    uint32_t length = block_length(layout_, size, index);
    size_t n = std::min<size_t>(out.size(), length - begin);
    if (!staging_ || !TRY(staging_->read({slice_id, index, length}, begin, out.first(n))))
      TRY(store_.get(block_key(layout_, slice_id, index, length), begin, out.first(n), stop));
    out = out.subspan(n);
    off += static_cast<uint32_t>(n);
  }
  return {};
}

Status BlockStore::write_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data,
                               std::stop_token stop) {
  const auto length = static_cast<uint32_t>(total_size(data));
  if (staging_ && staging_->add({slice_id, block_index, length}, data)) return {};
  return put_block(slice_id, block_index, data, std::move(stop));
}

Status BlockStore::put_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data,
                             std::stop_token stop) {
  const auto length = static_cast<uint32_t>(total_size(data));
  return store_.put(block_key(layout_, slice_id, block_index, length), data, std::move(stop));
}

Status BlockStore::upload_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data,
                                std::stop_token stop) {
  const auto length = static_cast<uint32_t>(total_size(data));
  TRY(put_block(slice_id, block_index, data, std::move(stop)));
  const std::string key = block_key(layout_, slice_id, block_index, length);
  return store_.sync({&key, 1});
}

Result<bool> BlockStore::has_object(uint64_t slice_id, uint32_t block_index, uint32_t block_bytes) {
  auto info = store_.head(block_key(layout_, slice_id, block_index, block_bytes));
  if (!info && info.error().code == ENOENT) return false;
  if (!info) return fail(info.error());
  return true;
}

Status BlockStore::remove_object(uint64_t slice_id, uint32_t block_index, uint32_t block_bytes) {
  return store_.remove(block_key(layout_, slice_id, block_index, block_bytes));
}

bool BlockStore::is_damaged(uint64_t slice_id, uint32_t size, uint32_t off) {
  uint32_t index = off / layout_.block_size;
  uint32_t length = block_length(layout_, size, index);
  auto info = store_.head(block_key(layout_, slice_id, index, length));
  return info && info->size != length;
}

Status BlockStore::remove_slice(uint64_t slice_id, uint32_t size) {
  Status first;
  for (uint32_t index = 0; uint32_t length = block_length(layout_, size, index); index++) {
    if (staging_ && staging_->remove({slice_id, index, length})) continue;
    Status status = store_.remove(block_key(layout_, slice_id, index, length));
    if (!status && first) first = status;
  }
  return first;
}

Status BlockStore::sync(std::span<const SliceRef> slices) {
  // A slice may have 1024 blocks; the keys of all slices at once could be many.
  constexpr size_t kBatch = 4096;
  std::vector<std::string> keys;
  Status first;
  const auto sync_keys = [&] {
    if (Status status = store_.sync(keys); !status && first) first = status;
    keys.clear();
  };
  for (const SliceRef& slice : slices) {
    for (uint32_t index = 0; uint32_t length = block_length(layout_, slice.size, index); index++) {
      keys.push_back(block_key(layout_, slice.id, index, length));
    }
    if (keys.size() >= kBatch) sync_keys();
  }
  if (!keys.empty()) sync_keys();
  return first;
}

}  // namespace cider::chunk
