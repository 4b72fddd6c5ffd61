#include "meta/gc/slice_table.h"

#include <algorithm>

#include "meta/gc/scan.h"

namespace cider::meta {
namespace {

constexpr uint32_t kMostRecords = (1u << 29) - 1;

std::pair<uint64_t, uint32_t> key_of(const KnownSlice& slice) {
  return {slice.id, slice.size};
}

void join(KnownSlice* to, const KnownSlice& more) {
  to->live = static_cast<uint32_t>(std::min<uint64_t>(uint64_t{to->live} + more.live, UINT32_MAX));
  to->records = std::min<uint32_t>(to->records + more.records, kMostRecords);
  to->in_chunk |= more.in_chunk;
  to->is_delayed |= more.is_delayed;
  if (more.is_counted) to->refs = more.refs;
  to->is_counted |= more.is_counted;
}

}  // namespace

void SliceTable::add_record(const Slice& record) {
  if (record.id == 0) return;
  add({.id = record.id, .size = record.size, .live = record.len, .records = 1, .in_chunk = 1});
}

void SliceTable::add_delayed(const DelayedSlice& slice) {
  add({.id = slice.id, .size = slice.size, .records = 1, .is_delayed = 1});
}

void SliceTable::add_count(const SliceCount& count) {
  const int64_t refs = std::clamp<int64_t>(count.refs, INT32_MIN, INT32_MAX);
  add({.id = count.id, .size = count.size, .is_counted = 1, .refs = static_cast<int32_t>(refs)});
}

void SliceTable::add(const KnownSlice& slice) {
  slices_.push_back(slice);
  if (slices_.size() >= merge_at_) merge();
}

// Joins what is of one slice.
void SliceTable::merge() {
  std::ranges::sort(slices_, {}, key_of);
  size_t end = 0;
  for (const KnownSlice& slice : slices_) {
    if (end > 0 && key_of(slices_[end - 1]) == key_of(slice)) {
      join(&slices_[end - 1], slice);
    } else {
      slices_[end++] = slice;
    }
  }
  slices_.resize(end);
  merge_at_ = std::max<size_t>(1 << 16, end + end / 2);
}

std::span<const KnownSlice> SliceTable::of(uint64_t id) const {
  const auto [first, last] = std::ranges::equal_range(slices_, id, {}, &KnownSlice::id);
  return {first, last};
}

Status scan_slices(Store& store, SliceTable* table, FunctionRef<bool(uint64_t)> wanted) {
  TRY(each_chunk(store, [&](const ChunkRow&, std::span<const Slice> records) -> Status {
    for (const Slice& record : records) {
      if (wanted(record.id)) table->add_record(record);
    }
    return {};
  }));
  TRY(each_delayed(store, [&](const DelayedList& list) -> Status {
    for (const DelayedSlice& slice : list.slices) {
      if (wanted(slice.id)) table->add_delayed(slice);
    }
    return {};
  }));
  TRY(each_slice_count(store, [&](const SliceCount& count) -> Status {
    if (wanted(count.id)) table->add_count(count);
    return {};
  }));
  table->finish();
  return {};
}

Status scan_slices(Store& store, SliceTable* table) {
  return scan_slices(store, table, [](uint64_t) { return true; });
}

}  // namespace cider::meta
