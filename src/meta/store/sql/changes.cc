#include "meta/store/sql/changes.h"

#include <variant>

#include "meta/model/slices.h"
#include "meta/store/sql/node.h"
#include "meta/store/sql/patch.h"

namespace cider::meta::sql {
namespace {

class Writer {
 public:
  Writer(const WriteItem& item, const ChangeContext& context, std::vector<Change>* out)
      : item_(item), context_(context), out_(*out) {}

  // --- inodes

  void write(const InsertNode& w) {
    const Attr& a = w.attr;
    const SqlTime atime = to_sql_time(a.atime), mtime = to_sql_time(a.mtime), ctime = to_sql_time(a.ctime);
    joined(Statement("INSERT INTO jfs_node (inode," CIDER_NODE_COLUMNS(
                         "") ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                     w.ino, static_cast<uint8_t>(a.type), a.flags, a.mode, Narrow{a.uid}, Narrow{a.gid},
                     atime.micros, mtime.micros, ctime.micros, atime.nanos, mtime.nanos, ctime.nanos,
                     Narrow{a.nlink}, a.length, Narrow{a.rdev}, a.parent, Narrow{a.access_acl},
                     Narrow{a.default_acl}, a.tier))
        .taken = kInodeTaken;
  }
  void write(const PatchNode& w) {
    if (!changes_anything(w)) return;
    Change& change = add(patch_statement(w, context_.dialect));
    change.expects_all = true;
    if (w.after) answer(&change, "SELECT " CIDER_NODE_COLUMNS("") " FROM jfs_node WHERE inode=?", w.ino);
  }
  void write(const DeleteNode& w) {
    joined(Statement("DELETE FROM jfs_xattr WHERE inode=?", w.ino));
    joined(Statement("DELETE FROM jfs_symlink WHERE inode=?", w.ino));
    joined(Statement("DELETE FROM jfs_node WHERE inode=?", w.ino));
  }
  void write(const SetSymlink& w) {
    add(Statement(
        "INSERT INTO jfs_symlink (inode,target) VALUES (?,?) {on conflict inode}target={new target}", w.ino,
        std::string_view(w.target)));
  }
  void write(const SetXattr& w) {
    add(
        Statement("INSERT INTO jfs_xattr (inode,name,value) VALUES (?,?,?) "
                  "{on conflict inode,name}value={new value}",
                  w.ino, Text{w.name}, std::string_view(w.value)));
  }
  void write(const RemoveXattr& w) {
    add(Statement("DELETE FROM jfs_xattr WHERE inode=? AND name=?", w.ino, Text{w.name}));
  }

  // --- entries

  void write(const InsertEntry& w) {
    joined(Statement("INSERT INTO jfs_edge (parent,name,inode,type) VALUES (?,?,?,?)", w.parent,
                     std::string_view(w.name), w.entry.ino, static_cast<uint8_t>(w.entry.type)));
  }
  // An UPDATE keeps the row's id, and so the entry's place in a listing that is under way.
  void write(const ReplaceEntry& w) {
    add(Statement("UPDATE jfs_edge SET inode=?,type=? WHERE parent=? AND name=? AND inode=?", w.entry.ino,
                  static_cast<uint8_t>(w.entry.type), w.parent, std::string_view(w.name), w.old_entry.ino))
        .expects_all = true;
  }
  void write(const DeleteEntry& w) {
    joined(Statement("DELETE FROM jfs_edge WHERE parent=? AND name=? AND inode=?", w.parent,
                     std::string_view(w.name), w.old_entry.ino))
        .expects_all = true;
  }
  void write(const AddParent&) {}  // the entries themselves are the parent map

  // --- chunks and slices

  void write(const AppendSlices& w) {
    Change& change =
        add(Statement("INSERT INTO jfs_chunk (inode,indx,slices) VALUES (?,?,?) {on conflict inode,indx}"
                      "slices={append jfs_chunk.slices new} {returning {size slices}}",
                      w.ino, Narrow{w.index}, std::string_view(w.records)));
    answer(&change, "SELECT {size slices} FROM jfs_chunk WHERE inode=? AND indx=?", w.ino, Narrow{w.index});
  }
  void write(const HoleOverChunks& w) {
    std::string hole;
    append_slice(&hole, Slice{0, 0, 0, 0, static_cast<uint32_t>(kChunkSize)});
    add(Statement("UPDATE jfs_chunk SET slices={append slices ?} WHERE inode=? AND indx BETWEEN ? AND ?",
                  Owned{std::move(hole)}, w.ino, w.first, w.last));
  }
  void write(const LeaveChunks&) {}  // a file's chunks are found by its number
  void write(const ReplaceSlices& w) {
    add(Statement("UPDATE jfs_chunk SET slices={replaced slices ? ?} WHERE inode=? AND indx=? AND "
                  "{first slices ?}=?",
                  std::string_view(w.records), w.prefix.size() + 1, w.ino, Narrow{w.index}, w.prefix.size(),
                  std::string_view(w.prefix)))
        .expects_all = true;
    if (w.records.empty())
      add(Statement("DELETE FROM jfs_chunk WHERE inode=? AND indx=? AND {size slices}=0", w.ino,
                    Narrow{w.index}));
  }
  void write(const DeleteChunk& w) {
    add(Statement("DELETE FROM jfs_chunk WHERE inode=? AND indx=?", w.ino, Narrow{w.index}));
  }
  void write(const InsertSliceRef& w) {
    add(Statement("INSERT INTO jfs_chunk_ref (chunkid,size,refs) VALUES (?,?,?)", w.id, Narrow{w.size},
                  w.refs))
        .taken = EEXIST;
  }
  // Where nothing is taken away, there must be something to add to.
  void write(const AddSliceRef& w) {
    add(Statement("UPDATE jfs_chunk_ref SET refs=refs+? WHERE chunkid=? AND size=?", w.delta, w.id,
                  Narrow{w.size}))
        .expects_all = w.delta > 0;
  }
  void write(const DeleteSliceRef& w) {
    add(Statement("DELETE FROM jfs_chunk_ref WHERE chunkid=? AND size=? AND refs<=0", w.id, Narrow{w.size}));
  }
  void write(const PutDelayedSlices& w) {
    add(
        Statement("INSERT INTO jfs_delslices (chunkid,deleted,slices) VALUES (?,?,?) "
                  "{on conflict chunkid}deleted={new deleted},slices={new slices}",
                  w.id, w.deleted, std::string_view(w.records)));
  }
  void write(const DeleteDelayedSlices& w) {
    add(Statement("DELETE FROM jfs_delslices WHERE chunkid=?", w.id));
  }

  // --- unlinked but open, unlinked and to be deleted

  void write(const PutSustained& w) {
    add(Statement("INSERT INTO jfs_sustained (sid,inode) VALUES (?,?) {on conflict}", w.sid, w.ino));
  }
  void write(const DeleteSustained& w) {
    add(Statement("DELETE FROM jfs_sustained WHERE sid=? AND inode=?", w.sid, w.ino));
  }
  void write(const PutDeletedFile& w) {
    add(
        Statement("INSERT INTO jfs_delfile (inode,length,expire) VALUES (?,?,?) "
                  "{on conflict inode}length={new length},expire={new expire}",
                  w.ino, w.length, w.deleted));
  }
  void write(const DeleteDeletedFile& w) { add(Statement("DELETE FROM jfs_delfile WHERE inode=?", w.ino)); }

  // --- locks and sessions

  void write(const PutFlock& w) {
    add(
        Statement("INSERT INTO jfs_flock (inode,sid,owner,ltype) VALUES (?,?,?,?) "
                  "{on conflict inode,sid,owner}ltype={new ltype}",
                  w.ino, w.lock.holder.sid, w.lock.holder.owner, w.lock.kind == LockKind::write ? 'W' : 'R'));
  }
  void write(const DeleteFlock& w) {
    add(Statement("DELETE FROM jfs_flock WHERE inode=? AND sid=? AND owner=?", w.ino, w.holder.sid,
                  w.holder.owner));
  }
  void write(const PutPlock& w) {
    const LockHolder& holder = w.lock.holder;
    if (w.lock.ranges.empty()) {
      add(Statement("DELETE FROM jfs_plock WHERE inode=? AND sid=? AND owner=?", w.ino, holder.sid,
                    holder.owner));
      return;
    }
    add(
        Statement("INSERT INTO jfs_plock (inode,sid,owner,records) VALUES (?,?,?,?) "
                  "{on conflict inode,sid,owner}records={new records}",
                  w.ino, holder.sid, holder.owner, Owned{encode_plock_ranges(w.lock.ranges)}));
  }
  void write(const PutLockWait& w) {
    add(Statement(
        "INSERT INTO cider_lock_wait (sid,owner,inode,record) VALUES (?,?,?,?) "
        "{on conflict sid,owner}inode={new inode},record={new record}",
        w.wait.waiter.sid, w.wait.waiter.owner, w.wait.ino, Owned{encode_plock_ranges({w.wait.range})}));
  }
  void write(const DeleteLockWait& w) {
    if (!context_.has_lock_waits) return;
    add(Statement("DELETE FROM cider_lock_wait WHERE sid=? AND owner=?", w.waiter.sid, w.waiter.owner));
  }
  void write(const DeleteSession& w) {
    add(Statement("DELETE FROM jfs_flock WHERE sid=?", w.sid));
    add(Statement("DELETE FROM jfs_plock WHERE sid=?", w.sid));
    if (context_.has_lock_waits) add(Statement("DELETE FROM cider_lock_wait WHERE sid=?", w.sid));
    add(Statement("DELETE FROM jfs_session2 WHERE sid=?", w.sid));
  }

  // --- usage

  void write(const AddUsage&) {}
  void write(const AddDirStat&) {}
  void write(const CreateDirStat& w) {
    add(
        Statement("INSERT INTO jfs_dir_stats (inode,data_length,used_space,used_inodes) VALUES (?,0,0,0) "
                  "{on conflict inode}data_length=0,used_space=0,used_inodes=0",
                  w.ino));
  }
  void write(const DeleteDirStat& w) {
    add(Statement("DELETE FROM jfs_dir_stats WHERE inode=?", w.ino));
    add(Statement("DELETE FROM jfs_dir_quota WHERE inode=?", w.ino));
  }

 private:
  Change& add(Statement statement) {
    return out_.emplace_back(Change{.statement = std::move(statement), .item = &item_});
  }
  Change& joined(Statement statement) {
    Change& change = add(std::move(statement));
    change.joins = true;
    return change;
  }
  // The change answers with a row, itself or by a SELECT behind it.
  template <class... Args>
  void answer(Change* change, const char* select, Args... args) {
    if (context_.dialect.can_return())
      change->answers = true;
    else
      add(Statement(select, args...)).answers = true;
  }

  const WriteItem& item_;
  const ChangeContext& context_;
  std::vector<Change>& out_;
};

std::string what_is(const Change& change) {
  const auto dir = [](Ino ino) { return "an entry of directory " + std::to_string(ino); };
  const WriteItem* item = change.item;
  if (const auto* node = std::get_if<InsertNode>(item)) return "making inode " + std::to_string(node->ino);
  if (const auto* patch = std::get_if<PatchNode>(item))
    return "update of inode " + std::to_string(patch->ino);
  if (const auto* old = std::get_if<ReplaceEntry>(item)) return "replacing " + dir(old->parent);
  if (const auto* old = std::get_if<DeleteEntry>(item)) return "deleting " + dir(old->parent);
  if (const auto* chunk = std::get_if<AppendSlices>(item))
    return "append to chunk " + std::to_string(chunk->index) + " of inode " + std::to_string(chunk->ino);
  if (const auto* chunk = std::get_if<ReplaceSlices>(item))
    return "chunk " + std::to_string(chunk->index) + " of inode " + std::to_string(chunk->ino) +
           ", which no longer begins with the slices replaced";
  if (const auto* ref = std::get_if<AddSliceRef>(item))
    return "a reference to slice " + std::to_string(ref->id);
  return "a write";
}

}  // namespace

void add_changes(const WriteItem& item, const ChangeContext& context, std::vector<Change>* out) {
  std::visit([&](const auto& w) { Writer(item, context, out).write(w); }, item);
}

void add_usage_changes(const UsageSums& sums, std::vector<Change>* out) {
  for (const auto& [ino, delta] : sums.dirs) {
    if (delta == DirStat{}) continue;
    out->push_back(
        {.statement = Statement("UPDATE jfs_dir_stats SET "
                                "data_length=data_length+?,used_space=used_space+?,used_inodes=used_inodes+? "
                                "WHERE inode=?",
                                delta.length, delta.space, delta.inodes, ino)});
  }
  if (sums.space == 0 && sums.inodes == 0) return;
  out->push_back({.statement = Statement(
                      "UPDATE jfs_counter SET value=value+CASE name WHEN 'usedSpace' THEN ? ELSE ? END "
                      "WHERE name IN ('usedSpace','totalInodes')",
                      sums.space, sums.inodes)});
}

Status check(const Change& change, int64_t changed) {
  if (!change.expects_all || changed == change.rows) return {};
  return fail(EIO, what_is(change) + ": changed " + std::to_string(changed) + " rows instead of " +
                       std::to_string(change.rows));
}

Status take(const Change& change, Rows& rows) {
  if (!TRY(rows.next())) return fail(EIO, what_is(change) + " answered nothing");
  if (const auto* patch = std::get_if<PatchNode>(change.item)) {
    *patch->after = TRY(read_attr(rows, 0, patch->ino));
    for (auto* after : change.more_after) *after = *patch->after;
  } else if (const auto* append = std::get_if<AppendSlices>(change.item); append && append->count) {
    *append->count = static_cast<uint32_t>(rows.integer(0) / static_cast<int64_t>(kSliceRecordSize));
  }
  TRY(rows.next());  // to its end, where the statement is complete
  return {};
}

}  // namespace cider::meta::sql
