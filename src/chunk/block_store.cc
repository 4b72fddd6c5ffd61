#include "chunk/block_store.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "chunk/staging.h"

namespace cider::chunk {
namespace {

// Reads get this many blocks in work at least; uploads as well, so that memory full of written data drains.
constexpr size_t kBlocksAtOnce = 2;

// The most that a block becomes.
size_t packed_block(const Layout& layout) {
  return layout.codec ? layout.codec->bound(layout.block_size) : 0;
}

void gather(const BufferChain& data, std::span<std::byte> out) {
  for (const Buffer& piece : data) {
    std::memcpy(out.data(), piece.data(), piece.size());
    out = out.subspan(piece.size());
  }
}

}  // namespace

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

BlockStore::BlockStore(object::ObjectStore& store, Layout layout, MemoryBudget* budget, BlockCache* cache)
    : store_(store),
      layout_(layout),
      cache_(cache),
      compressing_(budget, kBlocksAtOnce * (layout.block_size + packed_block(layout))),
      decompressing_(budget, kBlocksAtOnce * packed_block(layout)),
      parts_(budget, kBlocksAtOnce * layout.block_size) {}

BlockName BlockStore::block_at(uint64_t slice_id, uint32_t size, uint32_t off) const {
  const uint32_t index = off / layout_.block_size;
  return {slice_id, index, block_length(layout_, size, index)};
}

std::string BlockStore::key_of(const BlockName& block) const {
  return block_key(layout_, block.slice, block.index, block.bytes);
}

Status BlockStore::read_block(const BlockName& block, uint32_t off, std::span<std::byte> out,
                              FunctionRef<void(size_t)> arrived, bool& cached, std::stop_token stop) {
  cached = cache_ && cache_->read(block, off, out);
  if (!cached && staging_) cached = TRY(staging_->read(block, off, out));
  if (!cached) return read_object(block, off, out, arrived, std::move(stop));
  arrived(out.size());
  return {};
}

Status BlockStore::read_object(const BlockName& block, uint32_t off, std::span<std::byte> out,
                               FunctionRef<void(size_t)> arrived, std::stop_token stop) {
  const std::string key = key_of(block);
  if (!layout_.whole_objects) return store_.get_in_order(key, off, out, arrived, std::move(stop));
  if (out.size() == block.bytes) {
    TRY(read_whole(key, out, std::move(stop)));
  } else {
    Buffer whole = TRY(parts_.take(block.bytes, stop));
    TRY(read_whole(key, {whole.mutable_data(), block.bytes}, std::move(stop)));
    std::memcpy(out.data(), whole.data() + off, out.size());
  }
  arrived(out.size());
  return {};
}

Status BlockStore::read(uint64_t slice_id, uint32_t size, uint32_t off, std::span<std::byte> out,
                        std::stop_token stop) {
  if (uint64_t{off} + out.size() > size) {
    return fail(EIO, "slice " + std::to_string(slice_id) + " of " + std::to_string(size) +
                         " bytes is read up to " + std::to_string(off + out.size()));
  }
  while (!out.empty()) {
    const BlockName block = block_at(slice_id, size, off);
    const uint32_t begin = off % layout_.block_size;
    const size_t n = std::min<size_t>(out.size(), block.bytes - begin);
    bool cached;
    TRY(read_block(block, begin, out.first(n), [](size_t) {}, cached, stop));
    out = out.subspan(n);
    off += static_cast<uint32_t>(n);
  }
  return {};
}

Status BlockStore::read_whole(const std::string& key, std::span<std::byte> plain, std::stop_token stop) {
  auto damaged = [&](const std::string& how) {
    return fail(EBADMSG, "object " + key + " is damaged: " + how);
  };
  Buffer scratch;
  std::span<std::byte> object = plain;
  if (layout_.codec) {
    scratch = TRY(decompressing_.take(layout_.codec->bound(plain.size()), stop));
    object = {scratch.mutable_data(), scratch.size()};
  }
  Result<size_t> got = store_.get_whole(key, object, std::move(stop));
  if (!got && got.error().code == EFBIG) return damaged("it is longer than such a block can be");
  const size_t size = TRY(std::move(got));
  if (layout_.codec) {
    Status done = layout_.codec->decompress(object.first(size), plain);
    if (!done) return done.error().code == EIO ? damaged(done.error().to_string()) : done;
  } else if (size != plain.size()) {
    return damaged("it has " + std::to_string(size) + " bytes");
  }
  return {};
}

Status BlockStore::write_block(uint64_t slice_id, uint32_t block_index, const BufferChain& data,
                               std::stop_token stop) {
  const BlockName block{slice_id, block_index, static_cast<uint32_t>(total_size(data))};
  if (staging_ && staging_->add(block, data)) return {};
  Status stored = write_through(slice_id, block_index, data, std::move(stop));
  const bool refused = !stored && stored.error().code != EINTR;
  if (refused && staging_ && staging_->add(block, data, /*refused=*/true)) return {};
  return stored;
}

Status BlockStore::write_through(uint64_t slice_id, uint32_t block_index, const BufferChain& data,
                                 std::stop_token stop) {
  const BlockName block{slice_id, block_index, static_cast<uint32_t>(total_size(data))};
  if (staging_) TRY(staging_->supersede(block, stop));
  TRY(put_block(block, data, std::move(stop)));
  if (cache_) cache_->offer(block, data, BlockCache::Origin::written);
  return {};
}

Status BlockStore::put_block(const BlockName& block, const BufferChain& data, std::stop_token stop) {
  if (!layout_.codec) return store_.put(key_of(block), data, std::move(stop));
  return store_.put(key_of(block), {TRY(compress(data, stop))}, stop);
}

Status BlockStore::upload_block(const BlockName& block, const BufferChain& data, std::stop_token stop) {
  TRY(put_block(block, data, std::move(stop)));
  const std::string key = key_of(block);
  return store_.sync({&key, 1});
}

Result<bool> BlockStore::has_object(const BlockName& block) {
  auto info = store_.head(key_of(block));
  if (!info && info.error().code == ENOENT) return false;
  if (!info) return fail(info.error());
  return true;
}

Status BlockStore::remove_object(const BlockName& block) {
  return store_.remove(key_of(block));
}

Result<Buffer> BlockStore::compress(const BufferChain& data, std::stop_token stop) {
  const size_t length = total_size(data);
  const size_t bound = layout_.codec->bound(length);
  const bool one_piece = data.size() == 1;
  Buffer scratch = TRY(compressing_.take(bound + (one_piece ? 0 : length), std::move(stop)));
  const std::span<std::byte> memory(scratch.mutable_data(), scratch.size());

  std::span<const std::byte> plain = memory.subspan(bound);
  if (one_piece) {
    plain = data.front().bytes();
  } else {
    gather(data, memory.subspan(bound));
  }
  // Storing it may take long.
  const size_t size = TRY(layout_.codec->compress(plain, memory.first(bound)));
  return compressing_.shrink(std::move(scratch), size);
}

bool BlockStore::is_damaged(uint64_t slice_id, uint32_t size, uint32_t off, std::stop_token stop) {
  const BlockName block = block_at(slice_id, size, off);
  if (!layout_.whole_objects) {
    auto info = store_.head(key_of(block));
    return info && info->size != block.bytes;
  }
  // One byte is enough to ask for: all of the object is read and checked for it.
  std::byte any;
  return code_of(read_object(block, 0, {&any, 1}, [](size_t) {}, std::move(stop))) == EBADMSG;
}

Status BlockStore::remove_slice(uint64_t slice_id, uint32_t size) {
  Status first;
  for (uint32_t index = 0; uint32_t length = block_length(layout_, size, index); index++) {
    const BlockName block{slice_id, index, length};
    if (cache_) cache_->remove(block);
    if (staging_ && staging_->remove(block)) continue;
    Status status = store_.remove(key_of(block));
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
