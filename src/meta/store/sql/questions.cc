#include "meta/store/sql/questions.h"

#include <variant>

#include "meta/model/slices.h"
#include "meta/store/sql/node.h"

namespace cider::meta::sql {

namespace {

Result<FileType> entry_type(int64_t type, Ino parent) {
  if (type < static_cast<int64_t>(FileType::file) || type > static_cast<int64_t>(FileType::socket)) {
    return fail(
        EIO, "an entry of directory " + std::to_string(parent) + " has unknown type " + std::to_string(type));
  }
  return static_cast<FileType>(type);
}

Result<std::optional<std::string>> one_value(Rows& row) {
  if (!TRY(row.next())) return std::nullopt;
  return std::string(row.bytes(0));
}

LockHolder holder_of(const Rows& row) {
  return {static_cast<uint64_t>(row.integer(0)), static_cast<uint64_t>(row.integer(1))};
}

// --- inodes and entries

Statement ask(const AttrRead& item) {
  return Statement("SELECT " CIDER_NODE_COLUMNS("") " FROM jfs_node WHERE inode=?{lock}", item.ino);
}
Status read(AttrRead& item, Rows& row) {
  item.value.reset();
  if (TRY(row.next())) item.value = TRY(read_attr(row, 0, item.ino));
  return {};
}

Statement ask(const EntryRead& item) {
  return Statement("SELECT inode,type FROM jfs_edge WHERE parent=? AND name=?{lock}", item.parent,
                   std::string_view(item.name));
}
Status read(EntryRead& item, Rows& row) {
  item.value.reset();
  if (!TRY(row.next())) return {};
  item.value = TRY(read_entry(row, 0, item.parent));
  return {};
}

Statement ask(const LookupRead& item) {
  return Statement(
      "SELECT e.inode,e.type,n.inode," CIDER_NODE_COLUMNS(
          "n.") " FROM jfs_edge e LEFT JOIN jfs_node n ON n.inode=e.inode WHERE e.parent=? AND e.name=?",
      item.parent, std::string_view(item.name));
}
Status read(LookupRead& item, Rows& row) {
  item.value.reset();
  item.attr.reset();
  if (!TRY(row.next())) return {};
  const Entry entry = TRY(read_entry(row, 0, item.parent));
  item.value = entry;
  if (!row.is_null(2)) item.attr = TRY(read_attr(row, 3, entry.ino));
  return {};
}

// No statement: see path_walk.h.
Statement ask(const PathRead&) {
  return {};
}
Status read(PathRead&, Rows&) {
  return fail(EINVAL, "a path is asked step by step");
}

Statement ask(const DirEmptyRead& item) {
  return Statement("SELECT 1 FROM jfs_edge WHERE parent=? LIMIT 1", item.ino);
}
Status read(DirEmptyRead& item, Rows& row) {
  item.empty = !TRY(row.next());
  return {};
}

Statement ask(const SymlinkRead& item) {
  return Statement("SELECT target FROM jfs_symlink WHERE inode=?{lock}", item.ino);
}
Status read(SymlinkRead& item, Rows& row) {
  item.target = TRY(one_value(row));
  return {};
}

Statement ask(const XattrRead& item) {
  return Statement("SELECT value FROM jfs_xattr WHERE inode=? AND name=?{lock}", item.ino, Text{item.name});
}
Status read(XattrRead& item, Rows& row) {
  item.value = TRY(one_value(row));
  return {};
}

Statement ask(const XattrNamesRead& item) {
  return Statement("SELECT name FROM jfs_xattr WHERE inode=?", item.ino);
}
Status read(XattrNamesRead& item, Rows& row) {
  item.names.clear();
  while (TRY(row.next())) item.names.emplace_back(row.bytes(0));
  return {};
}

// The entries themselves are the parent map.
Statement ask(const ParentsRead& item) {
  return Statement("SELECT parent FROM jfs_edge WHERE inode=?{lock}", item.ino);
}
Status read(ParentsRead& item, Rows& row) {
  item.parents.clear();
  while (TRY(row.next())) ++item.parents[static_cast<Ino>(row.integer(0))];
  return {};
}

// --- chunks and slices

Status check_list(std::string_view records, Ino ino, uint32_t index) {
  if (records.size() % kSliceRecordSize == 0) return {};
  return fail(EIO, "chunk " + std::to_string(index) + " of inode " + std::to_string(ino) + " has a list of " +
                       std::to_string(records.size()) + " bytes, no multiple of " +
                       std::to_string(kSliceRecordSize));
}

// On SQLite JuiceFS appends with `||`, which makes the value TEXT with NULs inside: bytes() reads both alike.
Statement ask(const ChunkRead& item) {
  return Statement("SELECT slices FROM jfs_chunk WHERE inode=? AND indx=?{lock}", item.ino,
                   Narrow{item.index});
}
Status read(ChunkRead& item, Rows& row) {
  item.records = TRY(one_value(row)).value_or(std::string());
  TRY(check_list(item.records, item.ino, item.index));
  size_t most = item.most * kSliceRecordSize;
  if (most > 0 && item.records.size() > most) item.records.resize(most);
  return {};
}

Statement ask(const ChunkRangeRead& item) {
  return Statement(
      "SELECT indx,slices FROM jfs_chunk WHERE inode=? AND indx BETWEEN ? AND ? ORDER BY indx{lock}",
      item.ino, item.first, item.last);
}
Status read(ChunkRangeRead& item, Rows& row) {
  item.chunks.clear();
  while (TRY(row.next())) {
    uint32_t index = static_cast<uint32_t>(row.integer(0));
    TRY(check_list(row.bytes(1), item.ino, index));
    item.chunks.emplace(index, row.bytes(1));
  }
  return {};
}

Statement ask(const SliceRefRead& item) {
  return Statement("SELECT refs FROM jfs_chunk_ref WHERE chunkid=? AND size=?{lock}", item.id,
                   Narrow{item.size});
}
Status read(SliceRefRead& item, Rows& row) {
  item.refs.reset();
  if (TRY(row.next())) item.refs = row.integer(0);
  return {};
}

Statement ask(const DelayedSlicesRead& item) {
  return Statement("SELECT slices FROM jfs_delslices WHERE chunkid=?{lock}", item.id);
}
Status read(DelayedSlicesRead& item, Rows& row) {
  item.records = TRY(one_value(row));
  return {};
}

// --- locks and sessions

// ltype is the letter R or W.
Statement ask(const FlocksRead& item) {
  return Statement("SELECT sid,owner,ltype FROM jfs_flock WHERE inode=? ORDER BY sid,owner{lock}", item.ino);
}
Status read(FlocksRead& item, Rows& row) {
  item.table.clear();
  while (TRY(row.next()))
    item.table.push_back({holder_of(row), row.integer(2) == 'W' ? LockKind::write : LockKind::read});
  return {};
}

Statement ask(const PlocksRead& item) {
  return Statement("SELECT sid,owner,records FROM jfs_plock WHERE inode=? ORDER BY sid,owner{lock}",
                   item.ino);
}
Status read(PlocksRead& item, Rows& row) {
  item.table.clear();
  while (TRY(row.next())) item.table.push_back({holder_of(row), TRY(decode_plock_ranges(row.bytes(2)))});
  return {};
}

Statement ask(const LockWaitsRead&) {
  return Statement("SELECT sid,owner,inode,record FROM cider_lock_wait");
}
Status read(LockWaitsRead& item, Rows& row) {
  item.waits.clear();
  while (TRY(row.next())) {
    auto ranges = TRY(decode_plock_ranges(row.bytes(3)));
    if (ranges.size() != 1)
      return fail(EIO, "a lock wait of session " + std::to_string(row.integer(0)) + " names no one range");
    item.waits.push_back({holder_of(row), static_cast<Ino>(row.integer(2)), ranges.front()});
  }
  return {};
}

Statement ask(const HolderLocksRead& item) {
  return Statement("SELECT inode FROM jfs_plock WHERE sid=? AND owner=?", item.holder.sid, item.holder.owner);
}
Status read(HolderLocksRead& item, Rows& row) {
  item.inodes.clear();
  while (TRY(row.next())) item.inodes.push_back(static_cast<Ino>(row.integer(0)));
  return {};
}

Statement ask(const SessionRead& item) {
  return Statement("SELECT expire FROM jfs_session2 WHERE sid=?{lock}", item.sid);
}
Status read(SessionRead& item, Rows& row) {
  item.expire.reset();
  if (TRY(row.next())) item.expire = row.integer(0);
  return {};
}

Statement ask(const SustainedRead& item) {
  return Statement("SELECT sid FROM jfs_sustained WHERE inode=? ORDER BY sid{lock}", item.ino);
}
Status read(SustainedRead& item, Rows& row) {
  item.sids.clear();
  while (TRY(row.next())) item.sids.push_back(static_cast<uint64_t>(row.integer(0)));
  return {};
}

// --- usage

Statement ask(const UsageRead&) {
  return Statement(
      "SELECT coalesce((SELECT value FROM jfs_counter WHERE name='usedSpace'),0),"
      "coalesce((SELECT value FROM jfs_counter WHERE name='totalInodes'),0)");
}
Status read(UsageRead& item, Rows& row) {
  if (TRY(row.next())) item = {row.integer(0), row.integer(1)};
  return {};
}

Statement ask(const DirStatRead& item) {
  return Statement("SELECT data_length,used_space,used_inodes FROM jfs_dir_stats WHERE inode=?", item.ino);
}
Status read(DirStatRead& item, Rows& row) {
  item.stat.reset();
  if (TRY(row.next())) item.stat = DirStat{row.integer(0), row.integer(1), row.integer(2)};
  return {};
}

}  // namespace

Result<Entry> read_entry(const Rows& row, int first, Ino parent) {
  return Entry{static_cast<Ino>(row.integer(first)), TRY(entry_type(row.integer(first + 1), parent))};
}

Statement question(const ReadItem& item) {
  return std::visit([](const auto& it) { return ask(it); }, item);
}

Status take(ReadItem* item, Rows& rows) {
  return std::visit([&](auto& it) { return read(it, rows); }, *item);
}

}  // namespace cider::meta::sql
