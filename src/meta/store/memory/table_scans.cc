// Scans of whole tables, in the order of their keys.
#include "meta/store/memory/tables.h"

namespace cider::meta {
namespace {

std::pair<uint64_t, uint64_t> scan_key(const std::pair<uint64_t, uint32_t>& key) {
  return key;
}
std::pair<uint64_t, uint64_t> scan_key(uint64_t key) {
  return {key, 0};
}

// `make` answers a row, of the table's key and value.
template <class Table, class Make>
auto scan(const Table& table, TableCursor* cursor, size_t limit, Make make) {
  std::vector<decltype(make(table.begin()->first, table.begin()->second))> rows;
  auto at = table.begin();
  if (cursor->begun) {
    if constexpr (std::is_same_v<typename Table::key_type, uint64_t>) {
      at = table.upper_bound(cursor->after.first);
    } else {
      at = table.upper_bound({cursor->after.first, static_cast<uint32_t>(cursor->after.second)});
    }
  }
  for (; at != table.end() && rows.size() < limit; ++at) {
    rows.push_back(make(at->first, at->second));
    cursor->after = scan_key(at->first);
    cursor->begun = true;
  }
  cursor->at_end = at == table.end();
  return rows;
}

}  // namespace

Result<std::vector<ChunkRow>> MemoryStore::scan_chunks(TableCursor* cursor, size_t limit) {
  std::lock_guard lock(mutex_);
  return scan(tables_->chunks, cursor, limit, [](const auto& key, const std::string& records) {
    return ChunkRow{key.first, key.second, records};
  });
}

Result<std::vector<SliceCount>> MemoryStore::scan_slice_counts(TableCursor* cursor, size_t limit) {
  std::lock_guard lock(mutex_);
  return scan(tables_->refs, cursor, limit,
              [](const auto& key, int64_t refs) { return SliceCount{key.first, key.second, refs}; });
}

Result<std::vector<DelayedList>> MemoryStore::scan_delayed(TableCursor* cursor, size_t limit) {
  std::lock_guard lock(mutex_);
  Status damage;
  auto rows = scan(tables_->delayed, cursor, limit, [&](uint64_t id, const auto& row) {
    auto slices = decode_delayed_slices(row.second);
    if (!slices) damage = fail(slices.error());
    return DelayedList{{id, row.first}, slices.value_or(std::vector<DelayedSlice>{})};
  });
  TRY(std::move(damage));
  return rows;
}

Result<std::vector<DeletedFile>> MemoryStore::scan_deleted_files(TableCursor* cursor, size_t limit) {
  std::lock_guard lock(mutex_);
  return scan(tables_->deleted_files, cursor, limit, [](Ino, const DeletedFile& file) { return file; });
}

}  // namespace cider::meta
