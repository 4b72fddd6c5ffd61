#include "meta/testing/volume_dump.h"

#include "meta/store/memory/tables.h"
#include "meta/store/sql/mysql/mysql_driver.h"
#include "meta/store/sql/postgres/postgres_driver.h"
#include "meta/store/sql/server/one_by_one.h"
#include "meta/store/sql/sqlite/sqlite_db.h"

namespace cider::meta::testing {
namespace {

// One row of a query; values are 0 or empty for NULL.
class Row {
 public:
  explicit Row(const sql::Rows& rows) : rows_(rows) {}
  uint64_t number(int column) const { return static_cast<uint64_t>(rows_.integer(column)); }
  std::string bytes(int column) const { return std::string(rows_.bytes(column)); }

 private:
  const sql::Rows& rows_;
};

template <class OnRow>
Status each(sql::Session& db, const char* sql, OnRow on_row) {
  auto rows = TRY(db.query(sql));
  while (TRY(rows->next())) on_row(Row(*rows));
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

Status fill(sql::Session& db, VolumeDump* out) {
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
  auto db = TRY(sqlite::Connection::open(path, {}));
  VolumeDump out;
  const auto snapshot = TRY(sqlite::Snapshot::begin(*db));
  TRY(fill(*db, &out));
  return out;
}

namespace {

Result<VolumeDump> dump_of(sql::server::Driver& driver) {
  auto connection = TRY(driver.connect({}));
  sql::server::OneByOne session(*connection, {});
  TRY(session.script(driver.dialect().render("{begin snapshot}")));
  VolumeDump out;
  TRY(fill(session, &out));
  return out;
}

}  // namespace

Result<VolumeDump> dump_postgres(const std::string& url) {
  postgres::PostgresDriver driver(TRY(postgres::parse_postgres_url(url)));
  return dump_of(driver);
}

Result<VolumeDump> dump_mysql(const std::string& url) {
  mysql::MysqlDriver driver(TRY(mysql::parse_mysql_url(url)));
  return dump_of(driver);
}

}  // namespace cider::meta::testing
