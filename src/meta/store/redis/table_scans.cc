#include "meta/store/redis/table_scans.h"

#include <algorithm>
#include <deque>

#include "meta/store/redis/keys.h"
#include "meta/store/redis/scan_cursor.h"

namespace cider::meta::redis {
namespace {

constexpr std::string_view kPairsAtOnce = "1000";
constexpr std::string_view kKeysAtOnce = "5000";  // of the server, most of them not asked for
constexpr size_t kListsAtOnce = 200;              // a pipeline of LRANGE: a list has 60 KiB at most

template <class Row>
struct Scan {
  ScanCursor cursor;
  std::deque<Row> ready;
};

template <class Row>
Scan<Row>& scan_of(TableCursor* cursor) {
  if (!cursor->state) cursor->state = std::make_shared<Scan<Row>>();
  return *static_cast<Scan<Row>*>(cursor->state.get());
}

// Up to `limit` of what is ready.
template <class Row>
std::vector<Row> take(Scan<Row>* scan, TableCursor* cursor, size_t limit) {
  const auto end = scan->ready.begin() + static_cast<std::ptrdiff_t>(std::min(limit, scan->ready.size()));
  std::vector<Row> rows(std::move_iterator(scan->ready.begin()), std::move_iterator(end));
  scan->ready.erase(scan->ready.begin(), end);
  cursor->at_end = scan->ready.empty() && scan->cursor.at_end();
  return rows;
}

// The elements of a hash or sorted set, decoded by `add` (Status(deque*, name, value)).
template <class Row, class Add>
Result<std::vector<Row>> scan_pairs(Client& client, std::string_view command, std::string_view name,
                                    TableCursor* cursor, size_t limit, Add add) {
  auto& scan = scan_of<Row>(cursor);
  if (scan.ready.empty() && !scan.cursor.at_end()) {
    const std::string key = client.key(name);
    const Reply pairs = TRY(scan.cursor.next(client, {command, key}, {"COUNT", kPairsAtOnce}));
    for (size_t i = 0; i + 1 < pairs.size(); i += 2)
      TRY(add(&scan.ready, pairs[i].text(), pairs[i + 1].text()));
  }
  return take(&scan, cursor, limit);
}

struct ChunkKey {
  Ino ino = 0;
  uint32_t index = 0;
};

// In a cluster SCAN shows keys of other volumes, too.
Status find_chunks(Client& client, Scan<ChunkKey>* scan) {
  const std::string head = client.key(std::string("c"));
  const Reply keys = TRY(scan->cursor.next(client, {"SCAN"}, {"MATCH", head + "*", "COUNT", kKeysAtOnce}));
  for (size_t i = 0; i < keys.size(); ++i) {
    ChunkKey key;
    const std::string_view text = keys[i].text();
    if (text.starts_with(head) && parse_pair(text.substr(head.size()), '_', &key.ino, &key.index))
      scan->ready.push_back(key);
  }
  return {};
}

}  // namespace

Result<std::vector<ChunkRow>> scan_chunks(Client& client, TableCursor* cursor, size_t limit) {
  auto& scan = scan_of<ChunkKey>(cursor);
  if (scan.ready.empty() && !scan.cursor.at_end()) TRY(find_chunks(client, &scan));
  const size_t n = std::min({limit, kListsAtOnce, scan.ready.size()});
  std::vector<ChunkRow> rows;
  Commands commands;
  for (size_t i = 0; i < n; ++i) {
    const ChunkKey& key = scan.ready[i];
    commands.add("LRANGE", client.key(chunk_key(key.ino, key.index)), 0, -1);
  }
  if (n > 0) {
    const std::vector<Reply> lists = TRY(client.ask_all(commands));
    for (size_t i = 0; i < n; ++i) {
      ChunkRow row{scan.ready[i].ino, scan.ready[i].index, {}};
      for (size_t j = 0; j < lists[i].size(); ++j) row.records += lists[i][j].text();
      if (!row.records.empty()) rows.push_back(std::move(row));  // else it went meanwhile
    }
  }
  (void)take(&scan, cursor, n);
  return rows;
}

Result<std::vector<SliceCount>> scan_slice_counts(Client& client, TableCursor* cursor, size_t limit) {
  using Rows = std::deque<SliceCount>;
  return scan_pairs<SliceCount>(
      client, "HSCAN", kSliceRefs, cursor, limit,
      [](Rows* rows, std::string_view field, std::string_view value) -> Status {
        SliceCount count;
        if (!field.starts_with('k') || !parse_pair(field.substr(1), '_', &count.id, &count.size)) return {};
        const auto refs = parse_number<int64_t>(value);
        if (!refs) return fail(EIO, "the count of " + std::string(field) + " is no number");
        count.refs = *refs + 1;
        rows->push_back(count);
        return {};
      });
}

Result<std::vector<DelayedList>> scan_delayed(Client& client, TableCursor* cursor, size_t limit) {
  using Rows = std::deque<DelayedList>;
  return scan_pairs<DelayedList>(client, "HSCAN", kDelayedSlices, cursor, limit,
                                 [](Rows* rows, std::string_view field, std::string_view value) -> Status {
                                   DelayedList list;
                                   if (!parse_pair(field, '_', &list.row.id, &list.row.deleted)) return {};
                                   list.slices = TRY(decode_delayed_slices(value));
                                   rows->push_back(std::move(list));
                                   return {};
                                 });
}

Result<std::vector<DeletedFile>> scan_deleted_files(Client& client, TableCursor* cursor, size_t limit) {
  using Rows = std::deque<DeletedFile>;
  return scan_pairs<DeletedFile>(client, "ZSCAN", kDeletedFiles, cursor, limit,
                                 [](Rows* rows, std::string_view member, std::string_view score) -> Status {
                                   DeletedFile file;
                                   if (!parse_pair(member, ':', &file.ino, &file.length)) return {};
                                   file.deleted = parse_number<int64_t>(score).value_or(0);
                                   rows->push_back(file);
                                   return {};
                                 });
}

}  // namespace cider::meta::redis
