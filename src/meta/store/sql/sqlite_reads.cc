#include "meta/store/sql/sqlite_reads.h"

#include <variant>

#include "meta/model/slices.h"
#include "meta/store/path_walk.h"
#include "meta/store/sql/schema.h"
#include "meta/store/sql/sqlite_node.h"

namespace cider::meta::sqlite {

namespace {

Result<FileType> entry_type(int64_t type, Ino parent) {
  if (type < static_cast<int64_t>(FileType::file) || type > static_cast<int64_t>(FileType::socket)) {
    return fail(
        EIO, "an entry of directory " + std::to_string(parent) + " has unknown type " + std::to_string(type));
  }
  return static_cast<FileType>(type);
}

// The first column of the first row.
template <class... Args>
Result<std::optional<std::string>> one_value(Connection& db, const char* sql, const Args&... args) {
  Query row = TRY(db.query(sql, args...));
  if (!TRY(row.next())) return std::nullopt;
  return std::string(row.bytes(0));
}

template <class... Args>
Result<bool> exists(Connection& db, const char* sql, const Args&... args) {
  Query row = TRY(db.query(sql, args...));
  return row.next();
}

Status read(Connection& db, AttrRead& item) {
  Query row = TRY(db.query("SELECT " CIDER_NODE_COLUMNS("") " FROM jfs_node WHERE inode=?", item.ino));
  item.value.reset();
  if (TRY(row.next())) item.value = TRY(read_attr(row, 0, item.ino));
  return {};
}

Status read(Connection& db, EntryRead& item) {
  Query row = TRY(db.query("SELECT inode,type FROM jfs_edge WHERE parent=? AND name=?", item.parent,
                           std::string_view(item.name)));
  item.value.reset();
  if (!TRY(row.next())) return {};
  item.value = Entry{static_cast<Ino>(row.integer(0)), TRY(entry_type(row.integer(1), item.parent))};
  return {};
}

Status read(Connection& db, LookupRead& item) {
  Query row = TRY(db.query(
      "SELECT e.inode,e.type,n.inode," CIDER_NODE_COLUMNS(
          "n.") " FROM jfs_edge e LEFT JOIN jfs_node n ON n.inode=e.inode WHERE e.parent=? AND e.name=?",
      item.parent, std::string_view(item.name)));
  item.value.reset();
  item.attr.reset();
  if (!TRY(row.next())) return {};
  Entry entry{static_cast<Ino>(row.integer(0)), TRY(entry_type(row.integer(1), item.parent))};
  item.value = entry;
  if (row.integer(2) != 0) item.attr = TRY(read_attr(row, 3, entry.ino));
  return {};
}

Status read(Connection& db, PathRead& item) {
  return walk_path(&item, [&](LookupRead* step) { return read(db, *step); });
}

Status read(Connection& db, DirEmptyRead& item) {
  item.empty = !TRY(exists(db, "SELECT 1 FROM jfs_edge WHERE parent=? LIMIT 1", item.ino));
  return {};
}

Status read(Connection& db, SymlinkRead& item) {
  item.target = TRY(one_value(db, "SELECT target FROM jfs_symlink WHERE inode=?", item.ino));
  return {};
}

Status read(Connection& db, XattrRead& item) {
  item.value =
      TRY(one_value(db, "SELECT value FROM jfs_xattr WHERE inode=? AND name=?", item.ino, Text{item.name}));
  return {};
}

Status read(Connection& db, XattrNamesRead& item) {
  Query row = TRY(db.query("SELECT name FROM jfs_xattr WHERE inode=?", item.ino));
  item.names.clear();
  while (TRY(row.next())) item.names.emplace_back(row.bytes(0));
  return {};
}

Status check_list(std::string_view records, Ino ino, uint32_t index) {
  if (records.size() % kSliceRecordSize == 0) return {};
  return fail(EIO, "chunk " + std::to_string(index) + " of inode " + std::to_string(ino) + " has a list of " +
                       std::to_string(records.size()) + " bytes, no multiple of " +
                       std::to_string(kSliceRecordSize));
}

// JuiceFS appends with `||`, which makes the value TEXT with NULs inside: bytes() reads both alike.
Status read(Connection& db, ChunkRead& item) {
  item.records =
      TRY(one_value(db, "SELECT slices FROM jfs_chunk WHERE inode=? AND indx=?", item.ino, item.index))
          .value_or(std::string());
  TRY(check_list(item.records, item.ino, item.index));
  size_t most = item.most * kSliceRecordSize;
  if (most > 0 && item.records.size() > most) item.records.resize(most);
  return {};
}

Status read(Connection& db, ChunkRangeRead& item) {
  Query row = TRY(db.query("SELECT indx,slices FROM jfs_chunk WHERE inode=? AND indx BETWEEN ? AND ?",
                           item.ino, item.first, item.last));
  item.chunks.clear();
  while (TRY(row.next())) {
    uint32_t index = static_cast<uint32_t>(row.integer(0));
    TRY(check_list(row.bytes(1), item.ino, index));
    item.chunks.emplace(index, row.bytes(1));
  }
  return {};
}

// The entries themselves are the parent map.
Status read(Connection& db, ParentsRead& item) {
  Query row = TRY(db.query("SELECT parent,count(*) FROM jfs_edge WHERE inode=? GROUP BY parent", item.ino));
  item.parents.clear();
  while (TRY(row.next()))
    item.parents[static_cast<Ino>(row.integer(0))] = static_cast<uint32_t>(row.integer(1));
  return {};
}

Status read(Connection& db, SliceRefRead& item) {
  Query row = TRY(db.query("SELECT refs FROM jfs_chunk_ref WHERE chunkid=? AND size=?", item.id, item.size));
  item.refs.reset();
  if (TRY(row.next())) item.refs = row.integer(0);
  return {};
}

// ltype is the letter R or W.
Status read(Connection& db, FlocksRead& item) {
  Query row =
      TRY(db.query("SELECT sid,owner,ltype FROM jfs_flock WHERE inode=? ORDER BY sid,owner", item.ino));
  item.table.clear();
  while (TRY(row.next())) {
    LockHolder holder{static_cast<uint64_t>(row.integer(0)), static_cast<uint64_t>(row.integer(1))};
    item.table.push_back({holder, row.integer(2) == 'W' ? LockKind::write : LockKind::read});
  }
  return {};
}

Status read(Connection& db, PlocksRead& item) {
  Query row =
      TRY(db.query("SELECT sid,owner,records FROM jfs_plock WHERE inode=? ORDER BY sid,owner", item.ino));
  item.table.clear();
  while (TRY(row.next())) {
    LockHolder holder{static_cast<uint64_t>(row.integer(0)), static_cast<uint64_t>(row.integer(1))};
    item.table.push_back({holder, TRY(decode_plock_ranges(row.bytes(2)))});
  }
  return {};
}

Status read(Connection& db, LockWaitsRead& item) {
  item.waits.clear();
  if (!TRY(has_lock_waits(db))) return {};
  Query row = TRY(db.query("SELECT sid,owner,inode,record FROM cider_lock_wait"));
  while (TRY(row.next())) {
    auto ranges = TRY(decode_plock_ranges(row.bytes(3)));
    if (ranges.size() != 1)
      return fail(EIO, "a lock wait of session " + std::to_string(row.integer(0)) + " names no one range");
    LockHolder waiter{static_cast<uint64_t>(row.integer(0)), static_cast<uint64_t>(row.integer(1))};
    item.waits.push_back({waiter, static_cast<Ino>(row.integer(2)), ranges.front()});
  }
  return {};
}

Status read(Connection& db, HolderLocksRead& item) {
  Query row = TRY(
      db.query("SELECT inode FROM jfs_plock WHERE sid=? AND owner=?", item.holder.sid, item.holder.owner));
  item.inodes.clear();
  while (TRY(row.next())) item.inodes.push_back(static_cast<Ino>(row.integer(0)));
  return {};
}

Status read(Connection& db, SessionRead& item) {
  Query row = TRY(db.query("SELECT expire FROM jfs_session2 WHERE sid=?", item.sid));
  item.expire.reset();
  if (TRY(row.next())) item.expire = row.integer(0);
  return {};
}

Status read(Connection& db, SustainedRead& item) {
  Query row = TRY(db.query("SELECT sid FROM jfs_sustained WHERE inode=? ORDER BY sid", item.ino));
  item.sids.clear();
  while (TRY(row.next())) item.sids.push_back(static_cast<uint64_t>(row.integer(0)));
  return {};
}

Status read(Connection& db, UsageRead& item) {
  Query row =
      TRY(db.query("SELECT coalesce((SELECT value FROM jfs_counter WHERE name='usedSpace'),0),"
                   "coalesce((SELECT value FROM jfs_counter WHERE name='totalInodes'),0)"));
  if (TRY(row.next())) item = {row.integer(0), row.integer(1)};
  return {};
}

Status read(Connection& db, DirStatRead& item) {
  Query row =
      TRY(db.query("SELECT data_length,used_space,used_inodes FROM jfs_dir_stats WHERE inode=?", item.ino));
  item.stat.reset();
  if (TRY(row.next())) item.stat = DirStat{row.integer(0), row.integer(1), row.integer(2)};
  return {};
}

Status read(Connection& db, DelayedSlicesRead& item) {
  item.records = TRY(one_value(db, "SELECT slices FROM jfs_delslices WHERE chunkid=?", item.id));
  return {};
}

}  // namespace

Status answer(Connection& db, ReadItem* item) {
  return std::visit([&](auto& question) { return read(db, question); }, *item);
}

}  // namespace cider::meta::sqlite
