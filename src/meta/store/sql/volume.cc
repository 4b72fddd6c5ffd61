#include "meta/store/sql/volume.h"

#include <memory>
#include <utility>
#include <vector>

#include "meta/store/sql/changes.h"
#include "meta/store/sql/schema.h"

namespace cider::meta::sql {

Result<std::optional<std::string>> load_setting(Session& db) {
  if (!TRY(table_exists(db, db.dialect().render("jfs_setting")))) return std::nullopt;
  auto row = TRY(db.query("SELECT value FROM jfs_setting WHERE name='format'"));
  if (!TRY(row->next())) return std::nullopt;
  return std::string(row->bytes(0));
}

namespace {

Status insert_node(Session& db, Ino ino, const Attr& attr) {
  const WriteItem item = InsertNode{ino, attr};
  std::vector<Change> changes;
  add_changes(item, {db.dialect()}, &changes);
  for (const Change& change : changes) TRY(db.change(change.statement));
  return {};
}

// A row that an INSERT made or changed answers a column: by itself, or to a SELECT behind it.
template <class... Args>
Result<int64_t> answered(Session& db, const Statement& insert, const char* select, Args... args) {
  std::unique_ptr<Rows> row;
  if (db.dialect().can_return()) {
    row = TRY(db.ask(insert));
  } else {
    TRY(db.change(insert));
    row = TRY(db.query(select, args...));
  }
  if (!TRY(row->next())) return fail(EIO, "an insertion answered nothing");
  const int64_t value = row->integer(0);
  TRY(row->next());  // to its end, where the statement is complete
  return value;
}

}  // namespace

Status create_volume(Session& db, std::string_view setting, const Attr& root,
                     const std::optional<Attr>& trash) {
  TRY(complete_schema(db));
  if (TRY(load_setting(db))) return fail(EEXIST, "the database holds a volume already");
  if (trash) TRY(insert_node(db, kTrashIno, *trash));
  TRY(db.execute("INSERT INTO jfs_setting (name,value) VALUES ('format',?)", Text{setting}));
  TRY(insert_node(db, kRootIno, root));
  TRY(db.execute("INSERT INTO jfs_dir_stats (inode,data_length,used_space,used_inodes) VALUES (?,0,0,0)",
                 kRootIno));
  const std::pair<Counter, int64_t> counters[] = {
      {Counter::next_inode, 2}, {Counter::next_chunk, 1},   {Counter::next_session, 0},
      {Counter::used_space, 0}, {Counter::total_inodes, 0}, {Counter::next_cleanup_slices, 0},
  };
  for (auto [counter, value] : counters) {
    TRY(db.execute("INSERT INTO jfs_counter (name,value) VALUES (?,?)", Text{counter_name(counter)}, value));
  }
  return {};
}

Status save_setting(Session& db, std::string_view setting) {
  int64_t changed = TRY(db.execute("UPDATE jfs_setting SET value=? WHERE name='format'", Text{setting}));
  if (changed != 1) return fail(ENOENT, "the database holds no volume");
  return {};
}

Result<bool> has_quotas(Session& db) {
  auto row = TRY(db.query(
      "SELECT CASE WHEN EXISTS(SELECT 1 FROM jfs_dir_quota) OR EXISTS(SELECT 1 FROM jfs_user_group_quota) "
      "THEN 1 ELSE 0 END"));
  return TRY(row->next()) && row->integer(0) != 0;
}

Result<int64_t> counter(Session& db, Counter counter) {
  auto row = TRY(db.query("SELECT value FROM jfs_counter WHERE name=?", Text{counter_name(counter)}));
  return TRY(row->next()) ? row->integer(0) : 0;
}

Result<uint64_t> highest_id(Session& db, Counter counter) {
  auto row = counter == Counter::next_chunk
                 ? TRY(db.query("SELECT max(chunkid) FROM jfs_chunk_ref"))
                 : TRY(db.query("SELECT max(inode) FROM jfs_node WHERE inode<?", kTrashIno));
  return TRY(row->next()) ? static_cast<uint64_t>(row->integer(0)) : 0;
}

Result<int64_t> add_counter(Session& db, Counter counter, int64_t delta) {
  const Text name{counter_name(counter)};
  return answered(db,
                  Statement("INSERT INTO jfs_counter (name,value) VALUES (?,?) {on conflict name}"
                            "value=jfs_counter.value+{new value} {returning value}",
                            name, delta),
                  "SELECT value FROM jfs_counter WHERE name=?", name);
}

Result<bool> set_if_small(Session& db, Counter counter, int64_t value, int64_t diff) {
  const Text name{counter_name(counter)};
  Statement present("SELECT value FROM jfs_counter WHERE name=?{lock}", name);
  present.lock = Lock::update;
  {
    auto row = TRY(db.ask(present));
    // Of equal values the first caller wins, as in JuiceFS.
    if ((TRY(row->next()) ? row->integer(0) : 0) > value - diff) return false;
  }
  TRY(db.execute("INSERT INTO jfs_counter (name,value) VALUES (?,?) {on conflict name}value={new value}",
                 name, value));
  return true;
}

Result<std::optional<AclRule>> acl(Session& db, uint32_t id) {
  auto row =
      TRY(db.query("SELECT owner,`group`,mask,other,named_users,named_groups FROM jfs_acl WHERE id=?", id));
  if (!TRY(row->next())) return std::nullopt;
  AclRule rule;
  rule.owner = static_cast<uint16_t>(row->integer(0));
  rule.group = static_cast<uint16_t>(row->integer(1));
  rule.mask = static_cast<uint16_t>(row->integer(2));
  rule.other = static_cast<uint16_t>(row->integer(3));
  rule.users = TRY(decode_acl_entries(row->bytes(4)));
  rule.groups = TRY(decode_acl_entries(row->bytes(5)));
  return rule;
}

Result<uint32_t> intern_acl(Session& db, const AclRule& rule) {
  std::string users = encode_acl_entries(rule.users);
  std::string groups = encode_acl_entries(rule.groups);
  {
    auto row = TRY(db.query(
        "SELECT id FROM jfs_acl WHERE owner=? AND `group`=? AND mask=? AND other=? AND named_users=? "
        "AND named_groups=? LIMIT 1",
        rule.owner, rule.group, rule.mask, rule.other, std::string_view(users), std::string_view(groups)));
    if (TRY(row->next())) return static_cast<uint32_t>(row->integer(0));
  }
  return static_cast<uint32_t>(TRY(answered(
      db,
      Statement(
          "INSERT INTO jfs_acl (owner,`group`,mask,other,named_users,named_groups) VALUES (?,?,?,?,?,?) "
          "{returning id}",
          rule.owner, rule.group, rule.mask, rule.other, std::string_view(users), std::string_view(groups)),
      "SELECT last_insert_id()")));
}

Status put_session(Session& db, const SessionRecord& session) {
  TRY(
      db.execute("INSERT INTO jfs_session2 (sid,expire,info) VALUES (?,?,?) {on conflict sid}"
                 "expire={new expire},info={new info}",
                 session.sid, session.expire, std::string_view(session.info)));
  return {};
}

Status refresh_session(Session& db, uint64_t sid, int64_t expire) {
  int64_t changed = TRY(db.execute("UPDATE jfs_session2 SET expire=? WHERE sid=?", expire, sid));
  if (changed == 0) return fail(ENOENT, "session " + std::to_string(sid) + " was cleaned up");
  return {};
}

}  // namespace cider::meta::sql
