#include "meta/store/sql/scans.h"

#include <algorithm>

#include "meta/store/sql/node.h"

namespace cider::meta::sql {

namespace {

constexpr size_t kMaxPage = 100'000;

int64_t page(size_t limit) {
  return static_cast<int64_t>(std::min(limit, kMaxPage));
}

Result<uint64_t> last_edge(Session& db) {
  auto row = TRY(db.query("SELECT coalesce(max(id),0) FROM jfs_edge"));
  TRY(row->next());
  return static_cast<uint64_t>(row->integer(0));
}

// Both walk the index (parent, name), which holds the row's id as well: no sort, and a page costs its own
// length.
constexpr const char* kPage =
    "SELECT name,inode,type FROM jfs_edge WHERE parent=? AND name>? AND id<=? ORDER BY name LIMIT ?";
constexpr const char* kPageWithAttrs =
    "SELECT e.name,e.inode,e.type,n.inode," CIDER_NODE_COLUMNS("n.")
    " FROM jfs_edge e LEFT JOIN jfs_node n ON n.inode=e.inode"
    " WHERE e.parent=? AND e.name>? AND e.id<=? ORDER BY e.name LIMIT ?";

}  // namespace

Result<std::vector<ListedEntry>> list_dir(Session& db, Ino dir, DirCursor* cursor, size_t limit,
                                          bool with_attrs) {
  std::vector<ListedEntry> entries;
  if (cursor->at_end || limit == 0) return entries;
  if (cursor->position.empty()) cursor->bound = TRY(last_edge(db));
  auto row = TRY(db.query(with_attrs ? kPageWithAttrs : kPage, dir, std::string_view(cursor->position),
                          cursor->bound, page(limit)));
  while (TRY(row->next())) {
    int64_t type = row->integer(2);
    if (type < static_cast<int64_t>(FileType::file) || type > static_cast<int64_t>(FileType::socket)) {
      return fail(
          EIO, "an entry of directory " + std::to_string(dir) + " has unknown type " + std::to_string(type));
    }
    ListedEntry& listed = entries.emplace_back();
    listed.name = row->bytes(0);
    listed.entry = {static_cast<Ino>(row->integer(1)), static_cast<FileType>(type)};
    if (with_attrs && !row->is_null(3)) listed.attr = TRY(read_attr(*row, 4, listed.entry.ino));
  }
  cursor->at_end = entries.size() < static_cast<size_t>(page(limit));
  if (!entries.empty()) cursor->position = entries.back().name;
  return entries;
}

Result<std::vector<SessionRecord>> list_sessions(Session& db) {
  std::vector<SessionRecord> sessions;
  auto row = TRY(db.query("SELECT sid,expire,info FROM jfs_session2 ORDER BY sid"));
  while (TRY(row->next())) {
    sessions.push_back({static_cast<uint64_t>(row->integer(0)), row->integer(1), std::string(row->bytes(2))});
  }
  return sessions;
}

Result<std::vector<Ino>> sustained_inodes(Session& db, uint64_t sid) {
  std::vector<Ino> inodes;
  auto row = TRY(db.query("SELECT inode FROM jfs_sustained WHERE sid=? ORDER BY inode", sid));
  while (TRY(row->next())) inodes.push_back(static_cast<Ino>(row->integer(0)));
  return inodes;
}

Result<std::vector<RecordLockOwner>> session_locks(Session& db, uint64_t sid) {
  std::vector<RecordLockOwner> locks;
  {
    auto row = TRY(db.query("SELECT inode,owner,ltype FROM jfs_flock WHERE sid=? ORDER BY inode", sid));
    while (TRY(row->next())) {
      RecordLockOwner& lock = locks.emplace_back();
      lock.ino = static_cast<Ino>(row->integer(0));
      lock.holder = {sid, static_cast<uint64_t>(row->integer(1))};
      lock.is_flock = true;
      lock.kind = row->integer(2) == 'W' ? LockKind::write : LockKind::read;
    }
  }
  auto row = TRY(db.query("SELECT inode,owner,records FROM jfs_plock WHERE sid=? ORDER BY inode", sid));
  while (TRY(row->next())) {
    RecordLockOwner& lock = locks.emplace_back();
    lock.ino = static_cast<Ino>(row->integer(0));
    lock.holder = {sid, static_cast<uint64_t>(row->integer(1))};
    lock.ranges = TRY(decode_plock_ranges(row->bytes(2)));
  }
  return locks;
}

Result<std::vector<DeletedFile>> deleted_files(Session& db, int64_t before, size_t limit) {
  std::vector<DeletedFile> files;
  auto row = TRY(
      db.query("SELECT inode,length,expire FROM jfs_delfile WHERE expire<? LIMIT ?", before, page(limit)));
  while (TRY(row->next())) {
    files.push_back(
        {static_cast<Ino>(row->integer(0)), static_cast<uint64_t>(row->integer(1)), row->integer(2)});
  }
  return files;
}

Result<std::vector<uint32_t>> chunks_of(Session& db, Ino ino) {
  std::vector<uint32_t> indexes;
  auto row = TRY(db.query("SELECT indx FROM jfs_chunk WHERE inode=? ORDER BY indx", ino));
  while (TRY(row->next())) indexes.push_back(static_cast<uint32_t>(row->integer(0)));
  return indexes;
}

Result<std::vector<DelayedSlice>> unreferenced_slices(Session& db, size_t limit) {
  std::vector<DelayedSlice> slices;
  auto row = TRY(db.query("SELECT chunkid,size FROM jfs_chunk_ref WHERE refs<=0 LIMIT ?", page(limit)));
  while (TRY(row->next())) {
    slices.push_back({static_cast<uint64_t>(row->integer(0)), static_cast<uint32_t>(row->integer(1))});
  }
  return slices;
}

Result<std::vector<DelayedRow>> delayed_slices(Session& db, int64_t before, size_t limit) {
  std::vector<DelayedRow> rows;
  auto row =
      TRY(db.query("SELECT chunkid,deleted FROM jfs_delslices WHERE deleted<? LIMIT ?", before, page(limit)));
  while (TRY(row->next())) rows.push_back({static_cast<uint64_t>(row->integer(0)), row->integer(1)});
  return rows;
}

namespace {

constexpr size_t kMaxPageBytes = 4 << 20;

// A page of a table whose primary key is the first column; `make` answers Result<row>. Ends early with so
// many bytes of the last column, if it is one of bytes.
template <class Row, class Make>
Result<std::vector<Row>> scan(Session& db, const char* sql, int bytes_column, TableCursor* cursor,
                              size_t limit, Make make) {
  std::vector<Row> rows;
  TableCursor next = *cursor;
  size_t bytes = 0;
  next.at_end = true;
  auto row = TRY(db.query(sql, next.after.first, page(limit)));
  while (TRY(row->next())) {
    if (bytes > kMaxPageBytes) {
      next.at_end = false;
      break;
    }
    rows.push_back(TRY(make(*row)));
    next.after.first = static_cast<uint64_t>(row->integer(0));
    if (bytes_column >= 0) bytes += row->bytes(bytes_column).size();
  }
  if (rows.size() == static_cast<size_t>(page(limit))) next.at_end = false;
  *cursor = next;
  return rows;
}

}  // namespace

Result<std::vector<ChunkRow>> scan_chunks(Session& db, TableCursor* cursor, size_t limit) {
  constexpr const char* kSql = "SELECT id,inode,indx,slices FROM jfs_chunk WHERE id>? ORDER BY id LIMIT ?";
  return scan<ChunkRow>(db, kSql, 3, cursor, limit, [](const Rows& row) -> Result<ChunkRow> {
    return ChunkRow{static_cast<Ino>(row.integer(1)), static_cast<uint32_t>(row.integer(2)),
                    std::string(row.bytes(3))};
  });
}

Result<std::vector<SliceCount>> scan_slice_counts(Session& db, TableCursor* cursor, size_t limit) {
  constexpr const char* kSql =
      "SELECT chunkid,size,refs FROM jfs_chunk_ref WHERE chunkid>? ORDER BY chunkid LIMIT ?";
  return scan<SliceCount>(db, kSql, -1, cursor, limit, [](const Rows& row) -> Result<SliceCount> {
    return SliceCount{static_cast<uint64_t>(row.integer(0)), static_cast<uint32_t>(row.integer(1)),
                      row.integer(2)};
  });
}

Result<std::vector<DelayedList>> scan_delayed(Session& db, TableCursor* cursor, size_t limit) {
  constexpr const char* kSql =
      "SELECT chunkid,deleted,slices FROM jfs_delslices WHERE chunkid>? ORDER BY chunkid LIMIT ?";
  return scan<DelayedList>(db, kSql, 2, cursor, limit, [](const Rows& row) -> Result<DelayedList> {
    return DelayedList{{static_cast<uint64_t>(row.integer(0)), row.integer(1)},
                       TRY(decode_delayed_slices(row.bytes(2)))};
  });
}

Result<std::vector<DeletedFile>> scan_deleted_files(Session& db, TableCursor* cursor, size_t limit) {
  constexpr const char* kSql =
      "SELECT inode,length,expire FROM jfs_delfile WHERE inode>? ORDER BY inode LIMIT ?";
  return scan<DeletedFile>(db, kSql, -1, cursor, limit, [](const Rows& row) -> Result<DeletedFile> {
    return DeletedFile{static_cast<Ino>(row.integer(0)), static_cast<uint64_t>(row.integer(1)),
                       row.integer(2)};
  });
}

}  // namespace cider::meta::sql
