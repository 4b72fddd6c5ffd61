#include "chunk/open_chunk.h"

#include <algorithm>
#include <cstring>

namespace cider::chunk {
namespace {

constexpr size_t kCopyBelow = 64 << 10;
constexpr size_t kFirstPage = 4 << 10;
constexpr size_t kLargestPage = 64 << 10;
// Each run becomes a slice record of its own; one commit should not carry thousands.
constexpr size_t kMaxRuns = 256;
// A remainder that holds on to more than this much memory and to four times its size is copied.
constexpr size_t kWasteful = 256 << 10;

bool worth_copying(const Buffer& data) {
  return data.size() < kCopyBelow || data.footprint() > 2 * data.size() + kCopyBelow;
}

}  // namespace

Buffer CopyPages::copy(const Buffer& data) {
  if (data.size() > page_.size() - used_) {
    size_t next = page_.empty() ? kFirstPage : std::min(kLargestPage, page_.size() * 4);
    page_ = Buffer::allocate(std::max(next, data.size()), budget_);
    used_ = 0;
  }
  std::memcpy(page_.mutable_data() + used_, data.data(), data.size());
  Buffer copied = page_.slice(used_, data.size());
  used_ += data.size();
  return copied;
}

Buffer CopyPages::joined(const Buffer& left, const Buffer& right) const {
  bool both_in_page = left.data() >= page_.data() && right.data() < page_.data() + page_.size();
  if (!both_in_page || left.data() + left.size() != right.data()) return {};
  return page_.slice(static_cast<size_t>(left.data() - page_.data()), left.size() + right.size());
}

OpenChunk::OpenChunk(uint32_t block_size, MemoryBudget* budget, Monotonic::time_point now)
    : block_size_(block_size), pages_(budget), first_write_(now), last_write_(now) {}

uint32_t OpenChunk::write(uint32_t pos, Buffer data, Monotonic::time_point now,
                          std::vector<BlockUpload>& full) {
  last_write_ = now;
  uint32_t end = pos + static_cast<uint32_t>(data.size());
  uint32_t covered = pieces_.erase(pos, end);
  add_piece(pos, end, std::move(data));
  open_bytes_ += end - pos - covered;
  auto run = add_run(pos, end);
  cut_blocks(run->first, run->second, full);
  return covered;
}

void OpenChunk::add_piece(uint32_t pos, uint32_t end, Buffer data) {
  auto& ranges = pieces_.ranges();
  auto next = ranges.lower_bound(pos);
  auto before = next == ranges.begin() ? ranges.end() : std::prev(next);
  // What a cut has left of a large buffer must not keep all of it.
  for (auto it : {before, next}) {
    if (it == ranges.end()) continue;
    Buffer& rest = it->second.value.data;
    if (rest.footprint() > kWasteful && rest.footprint() > 4 * rest.size()) rest = pages_.copy(rest);
  }
  if (!worth_copying(data)) {
    pieces_.paint(pos, end, Piece{std::move(data)});
    return;
  }
  Buffer copied = pages_.copy(data);
  if (before != ranges.end() && before->second.end == pos) {
    Buffer both = pages_.joined(before->second.value.data, copied);
    if (!both.empty()) {
      before->second = {end, Piece{std::move(both)}};
      return;
    }
  }
  pieces_.paint(pos, end, Piece{std::move(copied)});
}

OpenChunk::Runs::iterator OpenChunk::add_run(uint32_t begin, uint32_t end) {
  auto it = runs_.upper_bound(begin);
  if (it != runs_.begin() && std::prev(it)->second >= begin) {
    --it;
    begin = it->first;
  }
  while (it != runs_.end() && it->first <= end) {
    end = std::max(end, it->second);
    it = runs_.erase(it);
  }
  return runs_.emplace_hint(it, begin, end);
}

void OpenChunk::erase_run(uint32_t begin, uint32_t end) {
  auto it = std::prev(runs_.upper_bound(begin));
  uint32_t run_end = it->second;
  if (it->first < begin) {
    it->second = begin;
  } else {
    runs_.erase(it);
  }
  if (end < run_end) runs_.emplace(end, run_end);
}

bool OpenChunk::may_extend(size_t growing, uint32_t end) const {
  uint32_t begin = growing_[growing]->end();
  for (size_t younger = growing + 1; younger < growing_.size(); younger++) {
    if (growing_[younger]->pos < end && growing_[younger]->end() > begin) return false;
  }
  return true;
}

std::shared_ptr<PendingSlice> OpenChunk::begin_slice(uint32_t pos) {
  auto slice = std::make_shared<PendingSlice>();
  slice->pos = pos;
  growing_.push_back(slice);
  return slice;
}

// Moves the bytes from the slice's end to `end`, which are a part of one run, to the slice.
void OpenChunk::append(const std::shared_ptr<PendingSlice>& slice, uint32_t end,
                       std::vector<BlockUpload>& uploads) {
  while (slice->end() < end) {
    uint32_t from = slice->end();
    uint32_t to = std::min(end, from + block_size_);
    PendingSlice::Block block;
    pieces_.each(from, to,
                 [&](uint32_t, uint32_t, Piece piece) { block.data.push_back(std::move(piece.data)); });
    pieces_.erase(from, to);
    erase_run(from, to);
    block.bytes = to - from;
    open_bytes_ -= block.bytes;
    cut_bytes_ += block.bytes;
    slice->len += block.bytes;
    slice->blocks.push_back(std::move(block));
    slice->unstored++;
    uploads.push_back({slice, static_cast<uint32_t>(slice->blocks.size() - 1)});
  }
}

void OpenChunk::cut_blocks(uint32_t begin, uint32_t end, std::vector<BlockUpload>& full) {
  for (size_t i = 0; i < growing_.size(); i++) {
    uint32_t at = growing_[i]->end();
    if (at < begin || at >= end) continue;
    uint32_t whole = at + (end - at) / block_size_ * block_size_;
    if (whole == at || !may_extend(i, whole)) continue;
    append(growing_[i], whole, full);
    cut_blocks(begin, at, full);
    cut_blocks(whole, end, full);
    return;
  }
  if (end - begin >= block_size_)
    append(begin_slice(begin), begin + (end - begin) / block_size_ * block_size_, full);
}

std::vector<std::shared_ptr<PendingSlice>> OpenChunk::freeze(std::vector<BlockUpload>& rest) {
  // Tails first: each growing slice takes what follows it, if nothing younger is in the way.
  for (size_t i = 0; i < growing_.size(); i++) {
    auto run = runs_.upper_bound(growing_[i]->end());
    if (run == runs_.begin()) continue;
    --run;
    if (run->second <= growing_[i]->end()) continue;
    if (may_extend(i, run->second)) append(growing_[i], run->second, rest);
  }
  while (!runs_.empty()) {
    auto [begin, end] = *runs_.begin();
    append(begin_slice(begin), end, rest);
  }
  return std::move(growing_);
}

bool OpenChunk::is_complete() const {
  return runs_.size() >= kMaxRuns || cut_bytes_ >= kChunkSize || end() == kChunkSize;
}

uint32_t OpenChunk::end() const {
  uint32_t end = runs_.empty() ? 0 : runs_.rbegin()->second;
  for (const auto& slice : growing_) end = std::max(end, slice->end());
  return end;
}

}  // namespace cider::chunk
