#include "meta/testing/volume_dump.h"

#include <sqlite3.h>

#include "meta/store/memory/tables.h"

namespace cider::meta::testing {
namespace {

// One row of a query; values are 0 or empty for NULL.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  uint64_t number(int column) const {
    return static_cast<uint64_t>(sqlite3_column_int64(statement_, column));
  }
  std::string bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    return data ? std::string(static_cast<const char*>(data), sqlite3_column_bytes(statement_, column))
                : std::string();
  }

 private:
  sqlite3_stmt* statement_;
};

template <class OnRow>
Status each(sqlite3* db, const char* sql, OnRow on_row) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) != SQLITE_OK) return fail(EIO, sqlite3_errmsg(db));
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) on_row(Row(statement));
  std::string message = sqlite3_errmsg(db);
  sqlite3_finalize(statement);
  if (code != SQLITE_DONE) return fail(EIO, message);
  return {};
}

Attr attr_of(const Row& r) {
  Attr attr;
  attr.type = static_cast<FileType>(r.number(1));
  attr.mode = static_cast<uint16_t>(r.number(2));
  attr.nlink = static_cast<uint32_t>(r.number(3));
  attr.length = r.number(4);
  attr.parent = r.number(5);
  attr.uid = static_cast<uint32_t>(r.number(6));
  attr.gid = static_cast<uint32_t>(r.number(7));
  attr.flags = static_cast<uint8_t>(r.number(8));
  return attr;
}

Status fill(sqlite3* db, VolumeDump* out) {
  Status damage;
  TRY(each(db, "SELECT inode,type,mode,nlink,length,parent,uid,gid,flags FROM jfs_node",
           [&](const Row& r) { out->nodes[r.number(0)] = attr_of(r); }));
  TRY(each(db, "SELECT parent,name,inode,type FROM jfs_edge", [&](const Row& r) {
    out->entries.push_back({r.number(0), r.bytes(1), {r.number(2), static_cast<FileType>(r.number(3))}});
  }));
  TRY(each(db, "SELECT inode,target FROM jfs_symlink",
           [&](const Row& r) { out->symlinks[r.number(0)] = r.bytes(1); }));
  TRY(each(db, "SELECT inode FROM jfs_xattr", [&](const Row& r) { out->with_xattrs.insert(r.number(0)); }));
  TRY(each(db, "SELECT inode,indx,slices FROM jfs_chunk", [&](const Row& r) {
    auto slices = decode_slices(r.bytes(2));
    if (!slices)
      damage = fail(slices.error());
    else
      out->chunks[{r.number(0), static_cast<uint32_t>(r.number(1))}] = *slices;
  }));
  TRY(each(db, "SELECT chunkid,size,refs FROM jfs_chunk_ref", [&](const Row& r) {
    out->refs[{r.number(0), static_cast<uint32_t>(r.number(1))}] = static_cast<int64_t>(r.number(2));
  }));
  TRY(each(db, "SELECT slices FROM jfs_delslices", [&](const Row& r) {
    auto slices = decode_delayed_slices(r.bytes(0));
    if (!slices)
      damage = fail(slices.error());
    else
      out->delayed.insert(out->delayed.end(), slices->begin(), slices->end());
  }));
  TRY(each(db, "SELECT inode,sid FROM jfs_sustained",
           [&](const Row& r) { out->sustained.emplace(r.number(0), r.number(1)); }));
  TRY(each(db, "SELECT sid FROM jfs_session2", [&](const Row& r) { out->sessions.insert(r.number(0)); }));
  TRY(each(db, "SELECT sid FROM jfs_flock UNION SELECT sid FROM jfs_plock",
           [&](const Row& r) { out->lock_sessions.insert(r.number(0)); }));
  TRY(each(db, "SELECT inode FROM jfs_delfile",
           [&](const Row& r) { out->deleted_files.insert(r.number(0)); }));
  TRY(each(db, "SELECT inode,data_length,used_space,used_inodes FROM jfs_dir_stats", [&](const Row& r) {
    out->dir_stats[r.number(0)] = {static_cast<int64_t>(r.number(1)), static_cast<int64_t>(r.number(2)),
                                   static_cast<int64_t>(r.number(3))};
  }));
  TRY(each(db, "SELECT name,value FROM jfs_counter", [&](const Row& r) {
    if (r.bytes(0) == "usedSpace") out->used_space = static_cast<int64_t>(r.number(1));
    if (r.bytes(0) == "totalInodes") out->used_inodes = static_cast<int64_t>(r.number(1));
  }));
  return damage;
}

}  // namespace

VolumeDump dump_memory(MemoryStore& store) {
  MemoryStore::Tables t = store.copy_tables();
  VolumeDump out;
  out.nodes.insert(t.nodes.begin(), t.nodes.end());
  for (const auto& [parent, rows] : t.entries) {
    for (const auto& [name, row] : rows) out.entries.push_back({parent, name, row.entry});
  }
  out.symlinks.insert(t.symlinks.begin(), t.symlinks.end());
  for (const auto& [ino, xattrs] : t.xattrs) {
    if (!xattrs.empty()) out.with_xattrs.insert(ino);
  }
  for (const auto& [key, records] : t.chunks) {
    if (auto slices = decode_slices(records)) out.chunks[key] = *std::move(slices);
  }
  out.refs = t.refs;
  for (const auto& [id, row] : t.delayed) {
    auto slices = decode_delayed_slices(row.second);
    if (slices) out.delayed.insert(out.delayed.end(), slices->begin(), slices->end());
  }
  out.sustained = t.sustained;
  for (const auto& [sid, session] : t.sessions) out.sessions.insert(sid);
  for (const auto& [ino, table] : t.flocks) {
    for (const Flock& lock : table) out.lock_sessions.insert(lock.holder.sid);
  }
  for (const auto& [ino, table] : t.plocks) {
    for (const Plock& lock : table) out.lock_sessions.insert(lock.holder.sid);
  }
  for (const auto& [ino, file] : t.deleted_files) out.deleted_files.insert(ino);
  out.dir_stats = t.dir_stats;
  out.parents = t.parents;
  out.used_space = t.counters["usedSpace"];
  out.used_inodes = t.counters["totalInodes"];
  return out;
}

Result<VolumeDump> dump_sqlite(const std::string& path) {
  sqlite3* db = nullptr;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
    std::string message = sqlite3_errmsg(db);
    sqlite3_close(db);
    return fail(EIO, path + ": " + message);
  }
  sqlite3_busy_timeout(db, 60'000);
  VolumeDump out;
  Status done = each(db, "BEGIN", [](const Row&) {});
  if (done) done = fill(db, &out);
  sqlite3_close(db);
  if (!done) return fail(std::move(done).error());
  return out;
}

}  // namespace cider::meta::testing
