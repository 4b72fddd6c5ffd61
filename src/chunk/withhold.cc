#include "chunk/withhold.h"

#include <algorithm>

namespace cider::chunk {
namespace {

using SlicePtr = std::shared_ptr<PendingSlice>;

// Cuts `chain` after `bytes` bytes; answers the rest.
BufferChain cut_chain(BufferChain& chain, size_t bytes) {
  BufferChain rest;
  size_t i = 0;
  while (i < chain.size() && bytes >= chain[i].size()) bytes -= chain[i++].size();
  for (size_t at = i; at < chain.size(); at++) rest.push_back(std::move(chain[at]));
  chain.resize(i);
  if (bytes > 0) {
    chain.push_back(rest.front().slice(0, bytes));
    rest.front() = rest.front().slice(bytes, rest.front().size() - bytes);
  }
  return rest;
}

// `data` as a slice of its own.
SlicePtr make_slice(uint32_t pos, BufferChain data, uint32_t block_size) {
  auto slice = std::make_shared<PendingSlice>();
  slice->pos = pos;
  while (!data.empty()) {
    PendingSlice::Block& block = slice->blocks.emplace_back();
    BufferChain rest = total_size(data) > block_size ? cut_chain(data, block_size) : BufferChain();
    block.data = std::exchange(data, std::move(rest));
    block.bytes = static_cast<uint32_t>(total_size(block.data));
    slice->len += block.bytes;
    slice->unstored++;
  }
  return slice;
}

// Cuts `slice` at `pos`, or behind the last block whose upload has begun. Answers the tail; null if there is
// none.
SlicePtr cut_slice(PendingSlice& slice, uint32_t pos, uint32_t block_size) {
  size_t begun = slice.blocks.size();
  while (begun > 0 && !slice.blocks[begun - 1].begun) begun--;
  uint32_t at = std::max(pos - slice.pos, static_cast<uint32_t>(begun) * block_size);
  if (at >= slice.len) return nullptr;
  size_t keep = (at + block_size - 1) / block_size;
  BufferChain tail;
  if (uint32_t rest = at % block_size; rest != 0) {
    PendingSlice::Block& last = slice.blocks[keep - 1];
    tail = cut_chain(last.data, rest);
    last.bytes = rest;
  }
  for (size_t i = keep; i < slice.blocks.size(); i++) {
    BufferChain& data = slice.blocks[i].data;
    tail.insert(tail.end(), std::make_move_iterator(data.begin()), std::make_move_iterator(data.end()));
  }
  slice.unstored -= static_cast<int>(slice.blocks.size() - keep);
  slice.blocks.resize(keep);
  slice.len = at;
  return make_slice(slice.pos + at, std::move(tail), block_size);
}

}  // namespace

std::vector<LogEntry> withhold(FileState& file, uint64_t length, uint32_t block_size) {
  std::vector<LogEntry> all;
  if (!file.waiters.empty()) return all;
  // From the newest on, as nothing may be taken from below a newer slice that stays.
  uint64_t kept_to = length;
  for (size_t i = file.log.size(); i-- > file.in_commit;) {
    LogEntry& entry = file.log[i];
    if (entry.is_change || entry.unclear) break;
    LogEntry taken{.index = entry.index, .mtime = entry.mtime};
    const uint64_t base = entry.index * kChunkSize;
    for (size_t j = entry.slices.size(); j-- > 0;) {
      SlicePtr& slice = entry.slices[j];
      SlicePtr cut;
      if (base + slice->pos >= kept_to) {
        cut = std::move(slice);
        entry.slices.erase(entry.slices.begin() + static_cast<std::ptrdiff_t>(j));
      } else if (base + slice->end() > kept_to) {
        cut = cut_slice(*slice, static_cast<uint32_t>(kept_to - base), block_size);
        kept_to = base + slice->end();
      }
      if (!cut) continue;
      cut->fate = PendingSlice::Fate::withheld;
      taken.slices.push_back(std::move(cut));
    }
    std::reverse(taken.slices.begin(), taken.slices.end());
    if (entry.slices.empty()) taken.upkeep = std::exchange(entry.upkeep, 0);
    if (!taken.slices.empty()) all.push_back(std::move(taken));
  }
  std::erase_if(file.log, [](const LogEntry& entry) { return !entry.is_change && entry.slices.empty(); });
  std::reverse(all.begin(), all.end());
  return all;
}

}  // namespace cider::chunk
