#include "meta/store/sql/sqlite_volume.h"

#include <utility>

#include "meta/store/sql/schema.h"

namespace cider::meta::sqlite {

Result<std::optional<std::string>> load_setting(Connection& db) {
  if (!TRY(table_exists(db, "jfs_setting"))) return std::nullopt;
  Query row = TRY(db.query("SELECT value FROM jfs_setting WHERE name='format'"));
  if (!TRY(row.next())) return std::nullopt;
  return std::string(row.bytes(0));
}

Status create_volume(Connection& db, Changes& changes, std::string_view setting, const Attr& root,
                     const std::optional<Attr>& trash) {
  TRY(complete_schema(db));
  if (TRY(load_setting(db))) return fail(EEXIST, "the database holds a volume already");
  if (trash) TRY(changes.apply(InsertNode{kTrashIno, *trash}));
  TRY(db.execute("INSERT INTO jfs_setting (name,value) VALUES ('format',?)", Text{setting}));
  TRY(changes.apply(InsertNode{kRootIno, root}));
  const std::pair<Counter, int64_t> counters[] = {
      {Counter::next_inode, 2}, {Counter::next_chunk, 1},   {Counter::next_session, 0},
      {Counter::used_space, 0}, {Counter::total_inodes, 0}, {Counter::next_cleanup_slices, 0},
  };
  for (auto [counter, value] : counters) {
    TRY(db.execute("INSERT INTO jfs_counter (name,value) VALUES (?,?)", Text{counter_name(counter)}, value));
  }
  return {};
}

Status save_setting(Connection& db, std::string_view setting) {
  int64_t changed = TRY(db.execute("UPDATE jfs_setting SET value=? WHERE name='format'", Text{setting}));
  if (changed != 1) return fail(ENOENT, "the database holds no volume");
  return {};
}

Result<bool> has_quotas(Connection& db) {
  Query row = TRY(
      db.query("SELECT EXISTS(SELECT 1 FROM jfs_dir_quota) OR EXISTS(SELECT 1 FROM jfs_user_group_quota)"));
  return TRY(row.next()) && row.integer(0) != 0;
}

Result<int64_t> counter(Connection& db, Counter counter) {
  Query row = TRY(db.query("SELECT value FROM jfs_counter WHERE name=?", Text{counter_name(counter)}));
  return TRY(row.next()) ? row.integer(0) : 0;
}

Result<uint64_t> highest_id(Connection& db, Counter counter) {
  Query row = counter == Counter::next_chunk
                  ? TRY(db.query("SELECT max(chunkid) FROM jfs_chunk_ref"))
                  : TRY(db.query("SELECT max(inode) FROM jfs_node WHERE inode<?", kTrashIno));
  return TRY(row.next()) ? static_cast<uint64_t>(row.integer(0)) : 0;
}

Result<int64_t> add_counter(Connection& db, Counter counter, int64_t delta) {
  Query row =
      TRY(db.query("INSERT INTO jfs_counter (name,value) VALUES (?,?) "
                   "ON CONFLICT (name) DO UPDATE SET value=value+excluded.value RETURNING value",
                   Text{counter_name(counter)}, delta));
  TRY(row.next());
  int64_t value = row.integer(0);
  TRY(row.next());  // to its end, where the statement is complete
  return value;
}

Result<bool> set_if_small(Connection& db, Counter counter, int64_t value, int64_t diff) {
  // Of equal values the first caller wins, as in JuiceFS.
  if (TRY(sqlite::counter(db, counter)) > value - diff) return false;
  TRY(
      db.execute("INSERT INTO jfs_counter (name,value) VALUES (?,?) ON CONFLICT (name) DO UPDATE SET "
                 "value=excluded.value",
                 Text{counter_name(counter)}, value));
  return true;
}

Result<std::optional<AclRule>> acl(Connection& db, uint32_t id) {
  Query row =
      TRY(db.query("SELECT owner,`group`,mask,other,named_users,named_groups FROM jfs_acl WHERE id=?", id));
  if (!TRY(row.next())) return std::nullopt;
  AclRule rule;
  rule.owner = static_cast<uint16_t>(row.integer(0));
  rule.group = static_cast<uint16_t>(row.integer(1));
  rule.mask = static_cast<uint16_t>(row.integer(2));
  rule.other = static_cast<uint16_t>(row.integer(3));
  rule.users = TRY(decode_acl_entries(row.bytes(4)));
  rule.groups = TRY(decode_acl_entries(row.bytes(5)));
  return rule;
}

Result<uint32_t> intern_acl(Connection& db, const AclRule& rule) {
  std::string users = encode_acl_entries(rule.users);
  std::string groups = encode_acl_entries(rule.groups);
  {
    Query row = TRY(db.query(
        "SELECT id FROM jfs_acl WHERE owner=? AND `group`=? AND mask=? AND other=? AND named_users=? "
        "AND named_groups=? LIMIT 1",
        rule.owner, rule.group, rule.mask, rule.other, std::string_view(users), std::string_view(groups)));
    if (TRY(row.next())) return static_cast<uint32_t>(row.integer(0));
  }
  Query row = TRY(db.query(
      "INSERT INTO jfs_acl (owner,`group`,mask,other,named_users,named_groups) VALUES (?,?,?,?,?,?) "
      "RETURNING id",
      rule.owner, rule.group, rule.mask, rule.other, std::string_view(users), std::string_view(groups)));
  TRY(row.next());
  uint32_t id = static_cast<uint32_t>(row.integer(0));
  TRY(row.next());
  return id;
}

Status put_session(Connection& db, const SessionRecord& session) {
  TRY(db.execute("INSERT OR REPLACE INTO jfs_session2 (sid,expire,info) VALUES (?,?,?)", session.sid,
                 session.expire, std::string_view(session.info)));
  return {};
}

Status refresh_session(Connection& db, uint64_t sid, int64_t expire) {
  int64_t changed = TRY(db.execute("UPDATE jfs_session2 SET expire=? WHERE sid=?", expire, sid));
  if (changed == 0) return fail(ENOENT, "session " + std::to_string(sid) + " was cleaned up");
  return {};
}

}  // namespace cider::meta::sqlite
