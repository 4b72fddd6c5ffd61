#include "meta/store/kv/scans.h"

#include <algorithm>

#include "base/function_ref.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/records.h"

namespace cider::meta::kv {
namespace {

constexpr size_t kPage = 1000;

// Calls `each` with the pairs of a range, page by page, until it answers false.
Status scan_all(View& view, Range range, bool keys_only, FunctionRef<Result<bool>(const Pair&)> each) {
  while (true) {
    const std::vector<Pair> page = TRY(view.scan(range, kPage, keys_only));
    for (const Pair& pair : page) {
      if (!TRY(each(pair))) return {};
    }
    if (page.size() < kPage) return {};
    range.begin = page.back().key + '\0';
  }
}

Status add_attrs(View& view, std::vector<ListedEntry>* entries) {
  std::vector<std::string> keys;
  for (const ListedEntry& listed : *entries) keys.push_back(inode_key(listed.entry.ino));
  const std::vector<Value> records = TRY(view.get(keys));
  for (size_t i = 0; i < records.size(); ++i) {
    if (!records[i]) continue;
    auto attr = decode_attr(*records[i]);
    if (!attr)
      return fail(EIO, "inode " + std::to_string((*entries)[i].entry.ino) + ": " + attr.error().message);
    (*entries)[i].attr = *std::move(attr);
  }
  return {};
}

// A page of a table: all pairs from where the cursor stands, as far as `limit` pairs were looked at.
Result<std::vector<Pair>> next_page(View& view, std::string_view table, TableCursor* cursor, size_t limit,
                                    bool keys_only, TableCursor* after) {
  Range range = all_of(table);
  if (cursor->state) range.begin = *static_cast<const std::string*>(cursor->state.get());
  std::vector<Pair> page = TRY(view.scan(range, limit, keys_only));
  *after = *cursor;
  after->begun = true;
  after->at_end = page.size() < limit;
  if (!page.empty()) after->state = std::make_shared<std::string>(page.back().key + '\0');
  return page;
}

// `make` answers a row of a pair, or nothing where it is of another kind.
template <class Row, class Make>
Result<std::vector<Row>> scan_table(View& view, std::string_view table, TableCursor* cursor, size_t limit,
                                    Make make) {
  TableCursor after;
  std::vector<Row> rows;
  for (const Pair& pair : TRY(next_page(view, table, cursor, limit, false, &after))) {
    std::optional<Row> row = TRY(make(pair));
    if (row) rows.push_back(*std::move(row));
  }
  *cursor = std::move(after);
  return rows;
}

}  // namespace

// In the order of names. Ends at the last name of the beginning, where that is known: others may add names
// behind it without end.
Result<std::vector<ListedEntry>> list_dir(View& view, Ino dir, DirCursor* cursor, size_t limit,
                                          bool with_attrs) {
  std::vector<ListedEntry> out;
  if (cursor->at_end || limit == 0) return out;
  Range range = entries_of(dir);
  std::shared_ptr<void> end = cursor->state;
  if (!end) end = std::make_shared<std::string>(TRY(view.bound(range)));
  range.end = *static_cast<const std::string*>(end.get());
  if (!cursor->position.empty()) range.begin = entry_key(dir, cursor->position) + '\0';
  const std::vector<Pair> page = TRY(view.scan(range, limit, false));
  for (const Pair& pair : page) {
    auto entry = decode_entry(pair.value);
    if (!entry)
      return fail(EIO, "an entry of directory " + std::to_string(dir) + ": " + entry.error().message);
    out.push_back({std::string(name_in(pair.key)), *entry, {}});
  }
  if (with_attrs) TRY(add_attrs(view, &out));
  cursor->state = std::move(end);
  cursor->at_end = page.size() < limit;
  if (!out.empty()) cursor->position = out.back().name;
  return out;
}

Result<std::vector<SessionRecord>> list_sessions(View& view) {
  std::vector<SessionRecord> out;
  std::vector<std::string> infos;
  TRY(scan_all(view, all_of(kSessions), false, [&](const Pair& pair) -> Result<bool> {
    if (auto sid = parse_session_key(pair.key)) {
      out.push_back({*sid, TRY(decode_number(pair.value)), {}});
      infos.push_back(session_info_key(*sid));
    }
    return true;
  }));
  const std::vector<Value> values = TRY(view.get(infos));
  for (size_t i = 0; i < values.size(); ++i) out[i].info = values[i].value_or("");
  return out;
}

Result<std::vector<Pair>> tally_records(View& view) {
  std::vector<Pair> records;
  TRY(scan_all(view, all_of(kTallies), false, [&](const Pair& pair) -> Result<bool> {
    records.push_back(pair);
    return true;
  }));
  return records;
}

Result<std::vector<Ino>> sustained_inodes(View& view, uint64_t sid) {
  std::vector<Ino> out;
  TRY(scan_all(view, sustained_of(sid), true, [&](const Pair& pair) -> Result<bool> {
    if (auto key = parse_sustained_key(pair.key)) out.push_back(key->ino);
    return true;
  }));
  std::ranges::sort(out);
  return out;
}

Result<std::vector<RecordLockOwner>> session_locks(View& view, uint64_t sid) {
  std::vector<RecordLockOwner> out;
  TRY(scan_all(view, all_of(kFlocks), false, [&](const Pair& pair) -> Result<bool> {
    const auto ino = parse_lock_key(pair.key);
    if (!ino) return true;
    for (const Flock& lock : TRY(decode_flocks(pair.value))) {
      if (lock.holder.sid == sid) out.push_back({*ino, lock.holder, true, lock.kind, {}});
    }
    return true;
  }));
  TRY(scan_all(view, all_of(kPlocks), false, [&](const Pair& pair) -> Result<bool> {
    const auto ino = parse_lock_key(pair.key);
    if (!ino) return true;
    for (Plock& lock : TRY(decode_plocks(pair.value))) {
      if (lock.holder.sid == sid)
        out.push_back({*ino, lock.holder, false, LockKind::read, std::move(lock.ranges)});
    }
    return true;
  }));
  return out;
}

namespace {

Result<std::optional<DeletedFile>> deleted_file_of(const Pair& pair) {
  std::optional<DeletedFile> file = parse_deleted_file_key(pair.key);
  if (file) file->deleted = TRY(decode_number(pair.value));
  return file;
}

Result<std::optional<SliceCount>> slice_count_of(const Pair& pair) {
  const auto key = parse_slice_ref_key(pair.key);
  if (!key) return std::optional<SliceCount>{};
  return std::optional(SliceCount{key->id, key->size, TRY(decode_counter(pair.value)) + 1});
}

}  // namespace

Result<std::vector<DeletedFile>> deleted_files(View& view, int64_t before, size_t limit) {
  std::vector<DeletedFile> out;
  TRY(scan_all(view, all_of(kDeletedFiles), false, [&](const Pair& pair) -> Result<bool> {
    const auto file = TRY(deleted_file_of(pair));
    if (file && file->deleted < before) out.push_back(*file);
    return out.size() < limit;
  }));
  return out;
}

Result<std::vector<uint32_t>> chunks_of(View& view, Ino ino) {
  std::vector<uint32_t> out;
  TRY(scan_all(view, chunks_of(ino, 0, UINT32_MAX), true, [&](const Pair& pair) -> Result<bool> {
    if (auto key = parse_chunk_key(pair.key)) out.push_back(key->index);
    return true;
  }));
  return out;
}

Result<std::vector<DelayedSlice>> unreferenced_slices(View& view, size_t limit) {
  std::vector<DelayedSlice> out;
  TRY(scan_all(view, all_of(kSliceRefs), false, [&](const Pair& pair) -> Result<bool> {
    const auto count = TRY(slice_count_of(pair));
    if (count && count->refs <= 0) out.push_back({count->id, count->size});
    return out.size() < limit;
  }));
  return out;
}

// In the order of their times.
Result<std::vector<DelayedRow>> delayed_slices(View& view, int64_t before, size_t limit) {
  std::vector<DelayedRow> out;
  TRY(scan_all(view, all_of(kDelayed), true, [&](const Pair& pair) -> Result<bool> {
    const auto row = parse_delayed_key(pair.key);
    if (row && row->deleted >= before) return false;
    if (row) out.push_back(*row);
    return out.size() < limit;
  }));
  return out;
}

// Chunks lie among all other records of inodes: these are looked at by their keys alone.
Result<std::vector<ChunkRow>> scan_chunks(View& view, TableCursor* cursor, size_t limit) {
  TableCursor after;
  std::vector<std::string> keys;
  for (Pair& pair : TRY(next_page(view, kInodes, cursor, std::max(limit, kPage), true, &after))) {
    if (!parse_chunk_key(pair.key)) continue;
    keys.push_back(std::move(pair.key));
    if (keys.size() < limit) continue;
    after.state = std::make_shared<std::string>(keys.back() + '\0');
    after.at_end = false;
    break;
  }
  std::vector<Value> values = TRY(view.get(keys));
  std::vector<ChunkRow> rows;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto key = parse_chunk_key(keys[i]);
    if (values[i]) rows.push_back({key->ino, key->index, *std::move(values[i])});
  }
  *cursor = std::move(after);
  return rows;
}

Result<std::vector<SliceCount>> scan_slice_counts(View& view, TableCursor* cursor, size_t limit) {
  return scan_table<SliceCount>(view, kSliceRefs, cursor, limit, slice_count_of);
}

Result<std::vector<DelayedList>> scan_delayed(View& view, TableCursor* cursor, size_t limit) {
  return scan_table<DelayedList>(
      view, kDelayed, cursor, limit, [](const Pair& pair) -> Result<std::optional<DelayedList>> {
        const auto row = parse_delayed_key(pair.key);
        if (!row) return std::optional<DelayedList>{};
        return std::optional(DelayedList{*row, TRY(decode_delayed_slices(pair.value))});
      });
}

Result<std::vector<DeletedFile>> scan_deleted_files(View& view, TableCursor* cursor, size_t limit) {
  return scan_table<DeletedFile>(view, kDeletedFiles, cursor, limit, deleted_file_of);
}

}  // namespace cider::meta::kv
