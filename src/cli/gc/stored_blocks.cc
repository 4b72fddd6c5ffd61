#include "cli/gc/stored_blocks.h"

#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "chunk/cache/block_path.h"
#include "cli/gc/each_by_threads.h"
#include "cli/terminal.h"

namespace cider::cli {
namespace {

constexpr size_t kPage = 1000;
constexpr uint64_t kMostObjectSize = (uint64_t{1} << 28) - 1;

// The block that an object is, if it has just the name that we would give it.
std::optional<chunk::BlockName> block_of(std::string_view key, const chunk::Layout& layout) {
  const size_t slash = key.rfind('/');
  const auto block = chunk::parse_block_name(key.substr(slash + 1));
  if (!block || chunk::block_key(layout, block->slice, block->index, block->bytes) != key) return {};
  return block;
}

// Adds one object, if it is an old block.
Status add_object(object::ObjectStore& store, const chunk::Layout& layout, Time newest,
                  object::ObjectInfo object, StoredBlocks* found) {
  const auto block = block_of(object.key, layout);
  if (!block) {
    ++found->other;
    log::debug("object " + object.key + " is no block's");
    return {};
  }
  ++found->scanned;
  // Some stores tell neither size nor time in a listing.
  if (object.size == 0 || object.mtime.sec == 0) {
    Result<object::ObjectInfo> info = store.head(object.key);
    if (!info && info.error().code != ENOENT) return fail(std::move(info).error());
    if (!info) {
      found->skipped.add(object.size);
      return {};
    }
    object = *std::move(info);
  }
  if (object.mtime > newest) {
    found->skipped.add(object.size);
    return {};
  }
  StoredBlock stored{.slice = block->slice};
  stored.index = block->index;
  stored.bytes = block->bytes;
  stored.object_size = std::min(object.size, kMostObjectSize);
  found->blocks.push_back(stored);
  return {};
}

}  // namespace

Result<StoredBlocks> list_blocks(object::ObjectStore& store, const chunk::Layout& layout, Time newest) {
  StoredBlocks found;
  ProgressLine progress("Listed objects");
  std::string after;
  while (true) {
    std::vector<object::ObjectInfo> page = TRY(store.list("chunks/", after, kPage));
    if (page.empty()) return found;
    after = page.back().key;
    for (object::ObjectInfo& object : page) TRY(add_object(store, layout, newest, std::move(object), &found));
    progress.update(found.scanned);
  }
}

BlockUse use_of(const StoredBlock& block, const meta::SliceTable& slices, const chunk::Layout& layout) {
  BlockUse use = BlockUse::leaked;
  for (const meta::KnownSlice& slice : slices.of(block.slice)) {
    if (chunk::block_length(layout, slice.size, block.index) != block.bytes) continue;
    if (slice.in_chunk) return BlockUse::in_file;
    use = slice.is_delayed ? BlockUse::replaced : slice.refs > 0 ? BlockUse::in_file : BlockUse::pending;
  }
  return use;
}

std::string key_of(const StoredBlock& block, const chunk::Layout& layout) {
  return chunk::block_key(layout, block.slice, static_cast<uint32_t>(block.index),
                          static_cast<uint32_t>(block.bytes));
}

uint64_t remove_blocks(object::ObjectStore& store, const chunk::Layout& layout,
                       const std::vector<StoredBlock>& blocks, int threads) {
  ProgressLine progress("Deleted leaked objects");
  std::mutex mutex;  // of the two numbers and the progress
  uint64_t removed = 0;
  uint64_t failed = 0;
  each_by_threads(blocks.size(), threads, [&](size_t i) {
    const std::string key = key_of(blocks[i], layout);
    const Status done = store.remove(key);
    if (!done) log::warning("delete " + key + ": " + done.error().to_string());
    std::lock_guard lock(mutex);
    ++(done ? removed : failed);
    if (removed % kPage == 0) progress.update(removed);
  });
  return failed;
}

}  // namespace cider::cli
