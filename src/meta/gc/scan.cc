#include "meta/gc/scan.h"

#include <algorithm>

namespace cider::meta {
namespace {

constexpr size_t kPage = 1000;

template <class Row, class Each>
Status each_row(Store& store, Result<std::vector<Row>> (Store::*scan)(TableCursor*, size_t), Each each) {
  TableCursor cursor;
  while (!cursor.at_end) {
    for (const Row& row : TRY((store.*scan)(&cursor, kPage))) TRY(each(row));
  }
  return {};
}

Meta::SliceUses* find(std::span<Meta::SliceUses> slices, uint64_t id, uint32_t size) {
  const auto key = [](const Meta::SliceUses& uses) { return std::pair(uses.id, uses.size); };
  const auto at = std::ranges::lower_bound(slices, std::pair(id, size), {}, key);
  return at != slices.end() && key(*at) == std::pair(id, size) ? &*at : nullptr;
}

}  // namespace

Status each_chunk(Store& store, FunctionRef<Status(const ChunkRow&, std::span<const Slice>)> each) {
  return each_row(store, &Store::scan_chunks, [&](const ChunkRow& row) -> Status {
    const auto slices = decode_slices(row.records);
    if (!slices) {
      return fail(EIO, "chunk " + std::to_string(row.index) + " of inode " + std::to_string(row.ino) + ": " +
                           slices.error().to_string());
    }
    return each(row, *slices);
  });
}

Status each_delayed(Store& store, FunctionRef<Status(const DelayedList&)> each) {
  return each_row(store, &Store::scan_delayed, each);
}

Status each_slice_count(Store& store, FunctionRef<Status(const SliceCount&)> each) {
  return each_row(store, &Store::scan_slice_counts, each);
}

Status each_deleted_file(Store& store, FunctionRef<Status(const DeletedFile&)> each) {
  return each_row(store, &Store::scan_deleted_files, each);
}

Status find_uses(Store& store, std::span<Meta::SliceUses> slices) {
  TRY(each_chunk(store, [&](const ChunkRow& row, std::span<const Slice> records) -> Status {
    for (const Slice& slice : records) {
      if (Meta::SliceUses* uses = find(slices, slice.id, slice.size))
        uses->chunks.emplace_back(row.ino, row.index);
    }
    return {};
  }));
  // After the chunks: compaction moves slices from there to here.
  TRY(each_delayed(store, [&](const DelayedList& list) -> Status {
    for (const DelayedSlice& slice : list.slices) {
      if (Meta::SliceUses* uses = find(slices, slice.id, slice.size)) uses->delayed.push_back(list.row);
    }
    return {};
  }));
  // A chunk or row that names a slice twice, or that the scan has shown twice, is read once.
  for (Meta::SliceUses& uses : slices) {
    std::ranges::sort(uses.chunks);
    const auto chunks = std::ranges::unique(uses.chunks);
    uses.chunks.erase(chunks.begin(), chunks.end());
    const auto key = [](const DelayedRow& row) { return std::pair(row.id, row.deleted); };
    std::ranges::sort(uses.delayed, {}, key);
    const auto rows = std::ranges::unique(uses.delayed, {}, key);
    uses.delayed.erase(rows.begin(), rows.end());
  }
  return {};
}

}  // namespace cider::meta
