#include "meta/store/sql/sqlite_writes.h"

#include <variant>

#include "meta/model/slices.h"
#include "meta/store/sql/schema.h"
#include "meta/store/sql/sqlite_node.h"

namespace cider::meta::sqlite {

namespace {

std::string at(Ino ino, uint32_t index) {
  return "chunk " + std::to_string(index) + " of inode " + std::to_string(ino);
}

// Guards of writes whose row the read set has seen: only a damaged database, or a wrong operation, fails
// them.
Status expect_one(int64_t changed, const std::string& what) {
  if (changed == 1) return {};
  return fail(EIO, what + ": changed " + std::to_string(changed) + " rows instead of one");
}

Status done(const Result<int64_t>& changed) {
  if (!changed) return fail(changed.error());
  return {};
}

}  // namespace

Status Changes::apply(const WriteItem& item) {
  return std::visit([this](const auto& change) { return write(change); }, item);
}

void Changes::discard() {
  usage_ = {};
  dir_stats_.clear();
}

Status Changes::flush() {
  if (usage_.space != 0 || usage_.inodes != 0) {
    TRY(
        db_.execute("UPDATE jfs_counter SET value=value+CASE name WHEN 'usedSpace' THEN ?1 ELSE ?2 END "
                    "WHERE name IN ('usedSpace','totalInodes')",
                    usage_.space, usage_.inodes));
  }
  for (const auto& [ino, delta] : dir_stats_) {
    if (delta == DirStat{}) continue;
    TRY(
        db_.execute("UPDATE jfs_dir_stats SET "
                    "data_length=data_length+?,used_space=used_space+?,used_inodes=used_inodes+? "
                    "WHERE inode=?",
                    delta.length, delta.space, delta.inodes, ino));
  }
  discard();
  return {};
}

void Changes::complete_answer(ReadItem* item) const {
  if (auto* usage = std::get_if<UsageRead>(item)) {
    usage->space += usage_.space;
    usage->inodes += usage_.inodes;
  } else if (auto* dir = std::get_if<DirStatRead>(item); dir && dir->stat) {
    auto pending = dir_stats_.find(dir->ino);
    if (pending == dir_stats_.end()) return;
    dir->stat->length += pending->second.length;
    dir->stat->space += pending->second.space;
    dir->stat->inodes += pending->second.inodes;
  }
}

// --- inodes

Status Changes::write(const InsertNode& item) {
  const Attr& a = item.attr;
  SqlTime atime = to_sql_time(a.atime), mtime = to_sql_time(a.mtime), ctime = to_sql_time(a.ctime);
  auto made = db_.execute("INSERT INTO jfs_node (inode," CIDER_NODE_COLUMNS(
                              "") ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                          item.ino, static_cast<uint8_t>(a.type), a.flags, a.mode, a.uid, a.gid, atime.micros,
                          mtime.micros, ctime.micros, atime.nanos, mtime.nanos, ctime.nanos, a.nlink,
                          a.length, a.rdev, a.parent, a.access_acl, a.default_acl, a.tier);
  if (!made && made.error().code == EEXIST)
    return fail(kInodeTaken, "inode number " + std::to_string(item.ino) + " given twice");
  return done(made);
}

namespace {

// What of a patch decides its statement's text.
struct PatchShape {
  Fields set;
  bool adds_links;
  bool touches_both;
  bool touches_ctime;
  bool answers;

  explicit PatchShape(const PatchNode& patch)
      : set(patch.set & field::all),
        adds_links(patch.nlink_delta != 0),
        touches_both(patch.touch && !(patch.set & field::mtime)),
        touches_ctime((patch.touch || patch.touch_ctime) && !(patch.set & field::ctime)),
        answers(patch.after != nullptr) {}
  uint32_t key() const {
    return set << 4 | adds_links << 3 | touches_both << 2 | touches_ctime << 1 | answers;
  }
  bool empty() const { return key() <= 1; }
};

// Operations read the clock before they get their turn, so a touch may come late: then it puts the time a
// nanosecond beyond the ctime, so that others see the change. A ctime that is seconds ahead stems from a
// wrong clock, and gives way. The right-hand sides all see the row as it was.
#define CIDER_LATE "(ctime,ctimensec)>=(?20,?21) AND ctime<=?20+3000000"
#define CIDER_TOUCH(column)                                                              \
  column "=iif(" CIDER_LATE ",ctime+(ctimensec=999),?20)," column "nsec=iif(" CIDER_LATE \
         ",(ctimensec+1)%1000,?21)"

std::string patch_statement(PatchShape shape) {
  std::string columns;
  auto assign = [&](bool wanted, std::string_view text) {
    if (!wanted) return;
    if (!columns.empty()) columns += ",";
    columns += text;
  };
  assign(shape.set & field::type, "type=?1");
  assign(shape.set & field::mode, "mode=?2");
  assign(shape.set & field::uid, "uid=?3");
  assign(shape.set & field::gid, "gid=?4");
  assign(shape.set & field::flags, "flags=?5");
  assign(shape.set & field::parent, "parent=?6");
  assign(shape.set & field::nlink, "nlink=?7+?19");
  assign(shape.set & field::length, "length=?8");
  assign(shape.set & field::rdev, "rdev=?9");
  assign(shape.set & field::acl, "access_acl_id=?10,default_acl_id=?11");
  assign(shape.set & field::tier, "tier_id=?12");
  assign(shape.set & field::atime, "atime=?13,atimensec=?14");
  assign(shape.set & field::mtime, "mtime=?15,mtimensec=?16");
  assign(shape.set & field::ctime, "ctime=?17,ctimensec=?18");
  assign(shape.adds_links && !(shape.set & field::nlink), "nlink=nlink+?19");
  assign(shape.touches_both, CIDER_TOUCH("mtime"));
  assign(shape.touches_ctime, CIDER_TOUCH("ctime"));
  return "UPDATE jfs_node SET " + columns + " WHERE inode=?22" +
         (shape.answers ? " RETURNING " CIDER_NODE_COLUMNS("") : "");
}

}  // namespace

Status Changes::write(const PatchNode& item) {
  PatchShape shape(item);
  if (shape.empty()) return {};
  auto [statement, is_new] = patches_.try_emplace(shape.key());
  if (is_new) statement->second = patch_statement(shape);
  const Attr& v = item.values;
  SqlTime atime = to_sql_time(v.atime), mtime = to_sql_time(v.mtime), ctime = to_sql_time(v.ctime);
  SqlTime touch = to_sql_time(item.touch ? *item.touch : item.touch_ctime.value_or(Time{}));
  // ?22 is in every statement, so all numbers below it may be bound in all of them.
  const auto with_values = [&](auto execute) {
    return execute(statement->second.c_str(), static_cast<uint8_t>(v.type), v.mode, v.uid, v.gid, v.flags,
                   v.parent, v.nlink, v.length, v.rdev, v.access_acl, v.default_acl, v.tier, atime.micros,
                   atime.nanos, mtime.micros, mtime.nanos, ctime.micros, ctime.nanos, item.nlink_delta,
                   touch.micros, touch.nanos, item.ino);
  };
  const std::string what = "update of inode " + std::to_string(item.ino);
  if (!item.after) {
    int64_t changed =
        TRY(with_values([&](const char* sql, const auto&... values) { return db_.execute(sql, values...); }));
    return expect_one(changed, what);
  }
  Query row =
      TRY(with_values([&](const char* sql, const auto&... values) { return db_.query(sql, values...); }));
  if (!TRY(row.next())) return expect_one(0, what);
  *item.after = TRY(read_attr(row, 0, item.ino));
  TRY(row.next());  // to its end, where the statement is complete
  return {};
}

Status Changes::write(const DeleteNode& item) {
  TRY(db_.execute("DELETE FROM jfs_xattr WHERE inode=?", item.ino));
  TRY(db_.execute("DELETE FROM jfs_symlink WHERE inode=?", item.ino));
  return done(db_.execute("DELETE FROM jfs_node WHERE inode=?", item.ino));
}

Status Changes::write(const SetSymlink& item) {
  return done(db_.execute("INSERT OR REPLACE INTO jfs_symlink (inode,target) VALUES (?,?)", item.ino,
                          std::string_view(item.target)));
}

Status Changes::write(const SetXattr& item) {
  return done(
      db_.execute("INSERT INTO jfs_xattr (inode,name,value) VALUES (?,?,?) "
                  "ON CONFLICT (inode,name) DO UPDATE SET value=excluded.value",
                  item.ino, Text{item.name}, std::string_view(item.value)));
}

Status Changes::write(const RemoveXattr& item) {
  return done(db_.execute("DELETE FROM jfs_xattr WHERE inode=? AND name=?", item.ino, Text{item.name}));
}

// --- entries

Status Changes::write(const InsertEntry& item) {
  return done(db_.execute("INSERT INTO jfs_edge (parent,name,inode,type) VALUES (?,?,?,?)", item.parent,
                          std::string_view(item.name), item.entry.ino,
                          static_cast<uint8_t>(item.entry.type)));
}

// An UPDATE keeps the row's id, and so the entry's place in a listing that is under way.
Status Changes::write(const ReplaceEntry& item) {
  int64_t changed = TRY(db_.execute(
      "UPDATE jfs_edge SET inode=?,type=? WHERE parent=? AND name=? AND inode=?", item.entry.ino,
      static_cast<uint8_t>(item.entry.type), item.parent, std::string_view(item.name), item.old_entry.ino));
  return expect_one(changed, "replacing an entry of directory " + std::to_string(item.parent));
}

Status Changes::write(const DeleteEntry& item) {
  int64_t changed = TRY(db_.execute("DELETE FROM jfs_edge WHERE parent=? AND name=? AND inode=?", item.parent,
                                    std::string_view(item.name), item.old_entry.ino));
  return expect_one(changed, "deleting an entry of directory " + std::to_string(item.parent));
}

// The entries themselves are the parent map.
Status Changes::write(const AddParent&) {
  return {};
}

// --- chunks and slices. JuiceFS leaves TEXT where it appended; `||` gives TEXT again, so both sides are
// cast.

Status Changes::write(const AppendSlices& item) {
  Query row = TRY(
      db_.query("INSERT INTO jfs_chunk (inode,indx,slices) VALUES (?,?,?) ON CONFLICT (inode,indx) DO UPDATE "
                "SET slices=CAST(CAST(slices AS BLOB)||excluded.slices AS BLOB) "
                "RETURNING length(CAST(slices AS BLOB))",
                item.ino, item.index, std::string_view(item.records)));
  if (!TRY(row.next())) return fail(EIO, at(item.ino, item.index) + ": the append answered nothing");
  if (item.count)
    *item.count = static_cast<uint32_t>(row.integer(0) / static_cast<int64_t>(kSliceRecordSize));
  TRY(row.next());  // to its end, where the statement is complete
  return {};
}

Status Changes::write(const HoleOverChunks& item) {
  std::string hole;
  append_slice(&hole, Slice{0, 0, 0, 0, static_cast<uint32_t>(kChunkSize)});
  return done(
      db_.execute("UPDATE jfs_chunk SET slices=CAST(CAST(slices AS BLOB)||? AS BLOB) WHERE inode=? AND indx "
                  "BETWEEN ? AND ?",
                  std::string_view(hole), item.ino, item.first, item.last));
}

Status Changes::write(const ReplaceSlices& item) {
  std::string list;
  {
    Query row = TRY(db_.query("SELECT slices FROM jfs_chunk WHERE inode=? AND indx=?", item.ino, item.index));
    if (TRY(row.next())) list = row.bytes(0);
  }
  if (!list.starts_with(item.prefix))
    return fail(EIO, at(item.ino, item.index) + " no longer begins with the slices replaced");
  list.replace(0, item.prefix.size(), item.records);
  if (list.empty()) return write(DeleteChunk{item.ino, item.index});
  int64_t changed = TRY(db_.execute("UPDATE jfs_chunk SET slices=? WHERE inode=? AND indx=?",
                                    std::string_view(list), item.ino, item.index));
  return expect_one(changed, at(item.ino, item.index));
}

Status Changes::write(const DeleteChunk& item) {
  return done(db_.execute("DELETE FROM jfs_chunk WHERE inode=? AND indx=?", item.ino, item.index));
}

Status Changes::write(const InsertSliceRef& item) {
  return done(db_.execute("INSERT INTO jfs_chunk_ref (chunkid,size,refs) VALUES (?,?,?)", item.id, item.size,
                          item.refs));
}

Status Changes::write(const AddSliceRef& item) {
  int64_t changed = TRY(db_.execute("UPDATE jfs_chunk_ref SET refs=refs+? WHERE chunkid=? AND size=?",
                                    item.delta, item.id, item.size));
  if (changed == 0 && item.delta > 0)
    return fail(EIO, "slice " + std::to_string(item.id) + " has no reference to add to");
  return {};
}

Status Changes::write(const DeleteSliceRef& item) {
  return done(
      db_.execute("DELETE FROM jfs_chunk_ref WHERE chunkid=? AND size=? AND refs<=0", item.id, item.size));
}

Status Changes::write(const PutDelayedSlices& item) {
  return done(db_.execute("INSERT OR REPLACE INTO jfs_delslices (chunkid,deleted,slices) VALUES (?,?,?)",
                          item.id, item.deleted, std::string_view(item.records)));
}

Status Changes::write(const DeleteDelayedSlices& item) {
  return done(db_.execute("DELETE FROM jfs_delslices WHERE chunkid=?", item.id));
}

// --- unlinked but open, unlinked and to be deleted

Status Changes::write(const PutSustained& item) {
  return done(
      db_.execute("INSERT OR IGNORE INTO jfs_sustained (sid,inode) VALUES (?,?)", item.sid, item.ino));
}

Status Changes::write(const DeleteSustained& item) {
  return done(db_.execute("DELETE FROM jfs_sustained WHERE sid=? AND inode=?", item.sid, item.ino));
}

Status Changes::write(const PutDeletedFile& item) {
  return done(db_.execute("INSERT OR REPLACE INTO jfs_delfile (inode,length,expire) VALUES (?,?,?)", item.ino,
                          item.length, item.deleted));
}

Status Changes::write(const DeleteDeletedFile& item) {
  return done(db_.execute("DELETE FROM jfs_delfile WHERE inode=?", item.ino));
}

// --- locks and sessions

Status Changes::write(const PutFlock& item) {
  return done(db_.execute(
      "INSERT INTO jfs_flock (inode,sid,owner,ltype) VALUES (?,?,?,?) "
      "ON CONFLICT (inode,sid,owner) DO UPDATE SET ltype=excluded.ltype",
      item.ino, item.lock.holder.sid, item.lock.holder.owner, item.lock.kind == LockKind::write ? 'W' : 'R'));
}

Status Changes::write(const DeleteFlock& item) {
  return done(db_.execute("DELETE FROM jfs_flock WHERE inode=? AND sid=? AND owner=?", item.ino,
                          item.holder.sid, item.holder.owner));
}

Status Changes::write(const PutPlock& item) {
  const LockHolder& holder = item.lock.holder;
  if (item.lock.ranges.empty()) {
    return done(db_.execute("DELETE FROM jfs_plock WHERE inode=? AND sid=? AND owner=?", item.ino, holder.sid,
                            holder.owner));
  }
  std::string records = encode_plock_ranges(item.lock.ranges);
  return done(
      db_.execute("INSERT INTO jfs_plock (inode,sid,owner,records) VALUES (?,?,?,?) "
                  "ON CONFLICT (inode,sid,owner) DO UPDATE SET records=excluded.records",
                  item.ino, holder.sid, holder.owner, std::string_view(records)));
}

Status Changes::write(const PutLockWait& item) {
  if (!TRY(has_lock_waits(db_))) TRY(create_lock_waits(db_));
  std::string record = encode_plock_ranges({item.wait.range});
  return done(db_.execute("INSERT OR REPLACE INTO cider_lock_wait (sid,owner,inode,record) VALUES (?,?,?,?)",
                          item.wait.waiter.sid, item.wait.waiter.owner, item.wait.ino,
                          std::string_view(record)));
}

Status Changes::write(const DeleteLockWait& item) {
  if (!TRY(has_lock_waits(db_))) return {};
  return done(
      db_.execute("DELETE FROM cider_lock_wait WHERE sid=? AND owner=?", item.waiter.sid, item.waiter.owner));
}

Status Changes::write(const DeleteSession& item) {
  TRY(db_.execute("DELETE FROM jfs_flock WHERE sid=?", item.sid));
  TRY(db_.execute("DELETE FROM jfs_plock WHERE sid=?", item.sid));
  if (TRY(has_lock_waits(db_))) TRY(db_.execute("DELETE FROM cider_lock_wait WHERE sid=?", item.sid));
  return done(db_.execute("DELETE FROM jfs_session2 WHERE sid=?", item.sid));
}

// --- usage

Status Changes::write(const AddUsage& item) {
  usage_.space += item.space;
  usage_.inodes += item.inodes;
  return {};
}

// What was summed up before belongs to no row, or to the one that is replaced.
Status Changes::write(const CreateDirStat& item) {
  dir_stats_.erase(item.ino);
  return done(db_.execute(
      "INSERT OR REPLACE INTO jfs_dir_stats (inode,data_length,used_space,used_inodes) VALUES (?,0,0,0)",
      item.ino));
}

Status Changes::write(const AddDirStat& item) {
  DirStat& sum = dir_stats_[item.ino];
  sum.length += item.delta.length;
  sum.space += item.delta.space;
  sum.inodes += item.delta.inodes;
  return {};
}

Status Changes::write(const DeleteDirStat& item) {
  dir_stats_.erase(item.ino);
  TRY(db_.execute("DELETE FROM jfs_dir_stats WHERE inode=?", item.ino));
  return done(db_.execute("DELETE FROM jfs_dir_quota WHERE inode=?", item.ino));
}

}  // namespace cider::meta::sqlite
