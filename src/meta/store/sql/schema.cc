#include "meta/store/sql/schema.h"

#include <set>
#include <vector>

namespace cider::meta::sqlite {

namespace {

struct Column {
  const char* name;
  const char* definition;
};

struct Table {
  const char* name;
  std::vector<Column> columns;
  const char* constraint = nullptr;
};

struct Index {
  const char* name;
  const char* definition;  // what stands after CREATE
};

constexpr const char* kSerial = "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL";
constexpr const char* kKey = "INTEGER PRIMARY KEY NOT NULL";
constexpr const char* kInteger = "INTEGER NOT NULL";
constexpr const char* kOptional = "INTEGER NULL";
constexpr const char* kNanos = "INTEGER DEFAULT 0 NOT NULL";
constexpr const char* kBlob = "BLOB NOT NULL";

const std::vector<Table>& tables() {
  static const std::vector<Table> all = {
      {"jfs_setting", {{"name", "TEXT PRIMARY KEY NOT NULL"}, {"value", "TEXT NOT NULL"}}},
      {"jfs_counter", {{"name", "TEXT PRIMARY KEY NOT NULL"}, {"value", kInteger}}},
      {"jfs_edge",
       {{"id", kSerial}, {"parent", kInteger}, {"name", kBlob}, {"inode", kInteger}, {"type", kInteger}}},
      {"jfs_node",
       {{"inode", kKey},
        {"type", kInteger},
        {"flags", kInteger},
        {"mode", kInteger},
        {"uid", kInteger},
        {"gid", kInteger},
        {"atime", kInteger},
        {"mtime", kInteger},
        {"ctime", kInteger},
        {"atimensec", kNanos},
        {"mtimensec", kNanos},
        {"ctimensec", kNanos},
        {"nlink", kInteger},
        {"length", kInteger},
        {"rdev", kOptional},
        {"parent", kOptional},
        {"access_acl_id", kOptional},
        {"default_acl_id", kOptional},
        {"tier_id", kOptional}}},
      {"jfs_symlink", {{"inode", kKey}, {"target", kBlob}}},
      {"jfs_xattr", {{"id", kSerial}, {"inode", kInteger}, {"name", "TEXT NOT NULL"}, {"value", kBlob}}},
      {"jfs_chunk", {{"id", kSerial}, {"inode", kInteger}, {"indx", kInteger}, {"slices", kBlob}}},
      {"jfs_chunk_ref", {{"chunkid", kKey}, {"size", kInteger}, {"refs", kInteger}}},
      {"jfs_delslices", {{"chunkid", kKey}, {"deleted", kInteger}, {"slices", kBlob}}},
      {"jfs_session2", {{"sid", kKey}, {"expire", kInteger}, {"info", "BLOB NULL"}}},
      {"jfs_sustained", {{"id", kSerial}, {"sid", kInteger}, {"inode", kInteger}}},
      {"jfs_delfile", {{"inode", kKey}, {"length", kInteger}, {"expire", kInteger}}},
      {"jfs_flock",
       {{"id", kSerial}, {"inode", kInteger}, {"sid", kInteger}, {"owner", kInteger}, {"ltype", kInteger}}},
      {"jfs_plock",
       {{"id", kSerial}, {"inode", kInteger}, {"sid", kInteger}, {"owner", kInteger}, {"records", kBlob}}},
      {"jfs_dir_quota",
       {{"inode", kKey},
        {"max_space", kInteger},
        {"max_inodes", kInteger},
        {"used_space", kInteger},
        {"used_inodes", kInteger}}},
      {"jfs_user_group_quota",
       {{"qtype", kInteger},
        {"qkey", kInteger},
        {"max_space", kInteger},
        {"max_inodes", kInteger},
        {"used_space", kInteger},
        {"used_inodes", kInteger}},
       "PRIMARY KEY ( `qtype`,`qkey` )"},
      {"jfs_dir_stats",
       {{"inode", kKey}, {"data_length", kInteger}, {"used_space", kInteger}, {"used_inodes", kInteger}}},
      {"jfs_detached_node", {{"inode", kKey}, {"added", kInteger}}},
      {"jfs_acl",
       {{"id", kSerial},
        {"owner", kOptional},
        {"group", kOptional},
        {"mask", kOptional},
        {"other", kOptional},
        {"named_users", "BLOB NULL"},
        {"named_groups", "BLOB NULL"}}},
      {"jfs_delegation_token", {{"id", kSerial}, {"token", "BLOB NULL"}}},
      {"jfs_change_log", {{"id", kSerial}, {"entry", "TEXT NOT NULL"}}},
  };
  return all;
}

const std::vector<Index>& indexes() {
  static const std::vector<Index> all = {
      {"UQE_jfs_edge_edge", "UNIQUE INDEX `UQE_jfs_edge_edge` ON `jfs_edge` (`parent`,`name`)"},
      {"IDX_jfs_edge_inode", "INDEX `IDX_jfs_edge_inode` ON `jfs_edge` (`inode`)"},
      {"UQE_jfs_xattr_name", "UNIQUE INDEX `UQE_jfs_xattr_name` ON `jfs_xattr` (`inode`,`name`)"},
      {"UQE_jfs_chunk_chunk", "UNIQUE INDEX `UQE_jfs_chunk_chunk` ON `jfs_chunk` (`inode`,`indx`)"},
      {"IDX_jfs_chunk_ref_refs", "INDEX `IDX_jfs_chunk_ref_refs` ON `jfs_chunk_ref` (`refs`)"},
      {"UQE_jfs_sustained_sustained",
       "UNIQUE INDEX `UQE_jfs_sustained_sustained` ON `jfs_sustained` (`sid`,`inode`)"},
      {"UQE_jfs_flock_flock", "UNIQUE INDEX `UQE_jfs_flock_flock` ON `jfs_flock` (`inode`,`sid`,`owner`)"},
      {"UQE_jfs_plock_plock", "UNIQUE INDEX `UQE_jfs_plock_plock` ON `jfs_plock` (`inode`,`sid`,`owner`)"},
  };
  return all;
}

std::string quoted(const char* name) {
  return "`" + std::string(name) + "`";
}

std::string create_statement(const Table& table) {
  std::string sql = "CREATE TABLE " + quoted(table.name) + " (";
  for (const Column& column : table.columns) {
    if (&column != table.columns.data()) sql += ", ";
    sql += quoted(column.name) + " " + column.definition;
  }
  if (table.constraint) sql += std::string(", ") + table.constraint;
  return sql + ")";
}

Result<std::set<std::string>> names(Connection& db, const char* sql, Text argument) {
  std::set<std::string> all;
  Query query = TRY(db.query(sql, argument));
  while (TRY(query.next())) all.emplace(query.bytes(0));
  return all;
}

// What is missing, as statements.
Result<std::vector<std::string>> missing(Connection& db) {
  std::vector<std::string> statements;
  auto present = TRY(names(db, "SELECT name FROM sqlite_schema WHERE name <> ?", Text{""}));
  for (const Table& table : tables()) {
    if (!present.contains(table.name)) {
      statements.push_back(create_statement(table));
      continue;
    }
    auto columns = TRY(names(db, "SELECT name FROM pragma_table_info(?)", Text{table.name}));
    for (const Column& column : table.columns) {
      if (columns.contains(column.name)) continue;
      std::string_view definition = column.definition;
      if (definition == kInteger || definition == kBlob ||
          definition.find("PRIMARY KEY") != definition.npos) {
        return fail(EINVAL, std::string("table ") + table.name + " has no column " + column.name +
                                ": the volume is older than JuiceFS 1.0, dump it and load it anew");
      }
      statements.push_back("ALTER TABLE " + quoted(table.name) + " ADD " + quoted(column.name) + " " +
                           column.definition);
    }
  }
  for (const Index& index : indexes()) {
    if (!present.contains(index.name)) statements.push_back(std::string("CREATE ") + index.definition);
  }
  return statements;
}

}  // namespace

Result<bool> table_exists(Connection& db, std::string_view table) {
  Query query = TRY(db.query("SELECT 1 FROM sqlite_schema WHERE type='table' AND name=?", Text{table}));
  return query.next();
}

Status complete_schema(Connection& db) {
  for (const std::string& statement : TRY(missing(db))) TRY(db.script(statement));
  return {};
}

Result<bool> schema_is_complete(Connection& db) {
  return TRY(missing(db)).empty();
}

Status drop_schema(Connection& db) {
  for (const Table& table : tables()) TRY(db.script("DROP TABLE IF EXISTS " + quoted(table.name)));
  return db.script("DROP TABLE IF EXISTS jfs_session; DROP TABLE IF EXISTS cider_lock_wait");
}

Status create_lock_waits(Connection& db) {
  return db.script(
      "CREATE TABLE IF NOT EXISTS cider_lock_wait (sid INTEGER NOT NULL, owner INTEGER NOT NULL, "
      "inode INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (sid, owner)) WITHOUT ROWID");
}

Result<bool> has_lock_waits(Connection& db) {
  return table_exists(db, "cider_lock_wait");
}

}  // namespace cider::meta::sqlite
