#include "meta/store/sql/schema.h"

#include <set>
#include <vector>

namespace cider::meta::sql {

namespace {

// Types of columns as JuiceFS's records have them, and what each engine makes of them.
enum class Type {
  serial,        // the row's own number
  small_serial,  // in the Go type int
  key,           // a primary key of 64 bits
  name_key,      // a primary key of at most 255 characters
  big,           // 64 bits
  small,         // 32 bits
  small_or_null,
  big_or_null,
  nanos,        // 32 bits, 0 in rows that are older than the column
  name,         // at most 255 characters
  short_bytes,  // at most 255
  path_bytes,   // at most 4096
  bytes,
  bytes_or_null,
  text,
};

const char* spelling(Type type, const Dialect& dialect) {
  struct Spelling {
    const char* sqlite;
    const char* postgres;
    const char* mysql;
  };
  static constexpr Spelling kSpellings[] = {
      {"INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", "BIGSERIAL PRIMARY KEY NOT NULL",
       "BIGINT(20) PRIMARY KEY AUTO_INCREMENT NOT NULL"},
      {"INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", "SERIAL PRIMARY KEY NOT NULL",
       "INT PRIMARY KEY AUTO_INCREMENT NOT NULL"},
      {"INTEGER PRIMARY KEY NOT NULL", "BIGINT PRIMARY KEY NOT NULL", "BIGINT(20) PRIMARY KEY NOT NULL"},
      {"TEXT PRIMARY KEY NOT NULL", "VARCHAR(255) PRIMARY KEY NOT NULL", "VARCHAR(255) PRIMARY KEY NOT NULL"},
      {"INTEGER NOT NULL", "BIGINT NOT NULL", "BIGINT(20) NOT NULL"},
      {"INTEGER NOT NULL", "INTEGER NOT NULL", "INT NOT NULL"},
      {"INTEGER NULL", "INTEGER NULL", "INT NULL"},
      {"INTEGER NULL", "BIGINT NULL", "BIGINT(20) NULL"},
      {"INTEGER DEFAULT 0 NOT NULL", "INTEGER DEFAULT 0 NOT NULL", "INT DEFAULT 0 NOT NULL"},
      {"TEXT NOT NULL", "VARCHAR(255) NOT NULL", "VARCHAR(255) NOT NULL"},
      {"BLOB NOT NULL", "BYTEA NOT NULL", "VARBINARY(255) NOT NULL"},
      {"BLOB NOT NULL", "BYTEA NOT NULL", "VARBINARY(4096) NOT NULL"},
      {"BLOB NOT NULL", "BYTEA NOT NULL", "BLOB NOT NULL"},
      {"BLOB NULL", "BYTEA NULL", "BLOB NULL"},
      {"TEXT NOT NULL", "TEXT NOT NULL", "TEXT NOT NULL"},
  };
  if (dialect.has_short_keys()) {
    if (type == Type::name_key) return "VARCHAR(255) CHARACTER SET utf8 PRIMARY KEY NOT NULL";
    if (type == Type::name) return "VARCHAR(255) CHARACTER SET utf8 NOT NULL";
  }
  const Spelling& spelling = kSpellings[static_cast<size_t>(type)];
  switch (dialect.kind()) {
    case Dialect::Kind::postgres:
      return spelling.postgres;
    case Dialect::Kind::mysql:
      return spelling.mysql;
    case Dialect::Kind::sqlite:
      break;
  }
  return spelling.sqlite;
}

// Columns of these can't be added to rows that are there.
bool can_be_added(Type type) {
  return type == Type::small_or_null || type == Type::big_or_null || type == Type::nanos ||
         type == Type::bytes_or_null;
}

struct Column {
  const char* name;
  Type type;
};

struct Table {
  const char* name;  // without its prefix
  std::vector<Column> columns;
  std::vector<const char*> key;  // where it is of several columns
};

struct Index {
  const char* table;
  const char* name;  // what follows the table's
  std::vector<const char*> columns;
  bool unique;
};

const std::vector<Table>& tables() {
  using enum Type;
  static const std::vector<Table> all = {
      {"setting", {{"name", name_key}, {"value", text}}},
      {"counter", {{"name", name_key}, {"value", big}}},
      {"edge", {{"id", serial}, {"parent", big}, {"name", short_bytes}, {"inode", big}, {"type", small}}},
      {"node",
       {{"inode", key},
        {"type", small},
        {"flags", small},
        {"mode", small},
        {"uid", small},
        {"gid", small},
        {"atime", big},
        {"mtime", big},
        {"ctime", big},
        {"atimensec", nanos},
        {"mtimensec", nanos},
        {"ctimensec", nanos},
        {"nlink", small},
        {"length", big},
        {"rdev", small_or_null},
        {"parent", big_or_null},
        {"access_acl_id", small_or_null},
        {"default_acl_id", small_or_null},
        {"tier_id", small_or_null}}},
      {"symlink", {{"inode", key}, {"target", path_bytes}}},
      {"xattr", {{"id", serial}, {"inode", big}, {"name", name}, {"value", bytes}}},
      {"chunk", {{"id", serial}, {"inode", big}, {"indx", small}, {"slices", bytes}}},
      {"chunk_ref", {{"chunkid", key}, {"size", small}, {"refs", small}}},
      {"delslices", {{"chunkid", key}, {"deleted", big}, {"slices", bytes}}},
      {"session2", {{"sid", key}, {"expire", big}, {"info", bytes_or_null}}},
      {"sustained", {{"id", serial}, {"sid", big}, {"inode", big}}},
      {"delfile", {{"inode", key}, {"length", big}, {"expire", big}}},
      {"flock", {{"id", serial}, {"inode", big}, {"sid", big}, {"owner", big}, {"ltype", small}}},
      {"plock", {{"id", serial}, {"inode", big}, {"sid", big}, {"owner", big}, {"records", bytes}}},
      {"dir_quota",
       {{"inode", key}, {"max_space", big}, {"max_inodes", big}, {"used_space", big}, {"used_inodes", big}}},
      {"user_group_quota",
       {{"qtype", small},
        {"qkey", big},
        {"max_space", big},
        {"max_inodes", big},
        {"used_space", big},
        {"used_inodes", big}},
       {"qtype", "qkey"}},
      {"dir_stats", {{"inode", key}, {"data_length", big}, {"used_space", big}, {"used_inodes", big}}},
      {"detached_node", {{"inode", key}, {"added", big}}},
      {"acl",
       {{"id", small_serial},
        {"owner", small_or_null},
        {"group", small_or_null},
        {"mask", small_or_null},
        {"other", small_or_null},
        {"named_users", bytes_or_null},
        {"named_groups", bytes_or_null}}},
      {"delegation_token", {{"id", small_serial}, {"token", bytes_or_null}}},
      {"change_log", {{"id", serial}, {"entry", text}}},
  };
  return all;
}

const std::vector<Index>& indexes() {
  static const std::vector<Index> all = {
      {"edge", "edge", {"parent", "name"}, true},
      {"edge", "inode", {"inode"}, false},
      {"xattr", "name", {"inode", "name"}, true},
      {"chunk", "chunk", {"inode", "indx"}, true},
      {"chunk_ref", "refs", {"refs"}, false},
      {"sustained", "sustained", {"sid", "inode"}, true},
      {"flock", "flock", {"inode", "sid", "owner"}, true},
      {"plock", "plock", {"inode", "sid", "owner"}, true},
  };
  return all;
}

class Schema {
 public:
  explicit Schema(Session& db) : db_(db), dialect_(db.dialect()) {}

  std::string table_name(const char* table) const { return dialect_.prefix() + table; }

  // What is missing, as statements.
  Result<std::vector<std::string>> missing() {
    std::vector<std::string> statements;
    const auto present = TRY(names(table_names()));
    for (const Table& table : tables()) {
      if (!present.contains(table_name(table.name)))
        statements.push_back(create(table));
      else
        TRY(add_columns(table, &statements));
    }
    const auto indexed = TRY(names(index_names()));
    for (const Index& index : indexes()) {
      if (!indexed.contains(name_of(index))) statements.push_back(create(index));
    }
    return statements;
  }
  Result<bool> has_column(const std::string& table, const std::string& column) {
    return TRY(names(Statement(column_names(), Text{table}))).contains(column);
  }

 private:
  std::string name_of(const Index& index) const {
    return std::string(index.unique ? "UQE_" : "IDX_") + table_name(index.table) + "_" + index.name;
  }
  std::string list(const std::vector<const char*>& columns) const {
    std::string out;
    for (const char* column : columns) out += (out.empty() ? "" : ",") + dialect_.quoted(column);
    return out;
  }
  std::string definition(const Column& column) const {
    return dialect_.quoted(column.name) + " " + spelling(column.type, dialect_);
  }
  std::string create(const Table& table) const {
    std::string sql = "CREATE TABLE " + dialect_.quoted(table_name(table.name)) + " (";
    for (const Column& column : table.columns) {
      if (&column != table.columns.data()) sql += ", ";
      sql += definition(column);
    }
    if (!table.key.empty()) sql += ", PRIMARY KEY ( " + list(table.key) + " )";
    sql += ")";
    if (dialect_.kind() == Dialect::Kind::mysql) sql += " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
    return sql;
  }
  std::string create(const Index& index) const {
    return std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
           dialect_.quoted(name_of(index)) + " ON " + dialect_.quoted(table_name(index.table)) + " (" +
           list(index.columns) + ")";
  }
  Status add_columns(const Table& table, std::vector<std::string>* statements) {
    const std::string name = table_name(table.name);
    const auto present = TRY(names(Statement(column_names(), Text{name})));
    for (const Column& column : table.columns) {
      if (present.contains(column.name)) continue;
      if (!can_be_added(column.type)) {
        return fail(EINVAL, "table " + name + " has no column " + column.name +
                                ": the volume is older than JuiceFS 1.0, dump it and load it anew");
      }
      statements->push_back("ALTER TABLE " + dialect_.quoted(name) + " ADD " + definition(column));
    }
    return {};
  }

  // Names of all tables, columns of a table, and indexes, in the present schema.
  Statement table_names() const {
    switch (dialect_.kind()) {
      case Dialect::Kind::postgres:
        return Statement("SELECT tablename::text FROM pg_tables WHERE schemaname=current_schema()");
      case Dialect::Kind::mysql:
        return Statement("SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE()");
      case Dialect::Kind::sqlite:
        break;
    }
    return Statement("SELECT name FROM sqlite_schema WHERE type='table'");
  }
  const char* column_names() const {
    switch (dialect_.kind()) {
      case Dialect::Kind::postgres:
        return "SELECT column_name::text FROM information_schema.columns WHERE table_schema=current_schema() "
               "AND table_name=?";
      case Dialect::Kind::mysql:
        return "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND "
               "table_name=?";
      case Dialect::Kind::sqlite:
        break;
    }
    return "SELECT name FROM pragma_table_info(?)";
  }
  Statement index_names() const {
    switch (dialect_.kind()) {
      case Dialect::Kind::postgres:
        return Statement("SELECT indexname::text FROM pg_indexes WHERE schemaname=current_schema()");
      case Dialect::Kind::mysql:
        return Statement(
            "SELECT index_name FROM information_schema.statistics WHERE table_schema=DATABASE()");
      case Dialect::Kind::sqlite:
        break;
    }
    return Statement("SELECT name FROM sqlite_schema WHERE type='index'");
  }
  Result<std::set<std::string>> names(const Statement& statement) {
    std::set<std::string> all;
    auto rows = TRY(db_.ask(statement));
    while (TRY(rows->next())) all.emplace(rows->bytes(0));
    return all;
  }

  Session& db_;
  const Dialect& dialect_;
};

}  // namespace

Result<bool> table_exists(Session& db, std::string_view table) {
  const char* text = "SELECT 1 FROM sqlite_schema WHERE type='table' AND name=?";
  if (db.dialect().kind() == Dialect::Kind::postgres)
    text = "SELECT 1 FROM pg_tables WHERE schemaname=current_schema() AND tablename=?";
  if (db.dialect().kind() == Dialect::Kind::mysql)
    text = "SELECT 1 FROM information_schema.tables WHERE table_schema=DATABASE() AND table_name=?";
  auto rows = TRY(db.query(text, Text{table}));
  return rows->next();
}

Status complete_schema(Session& db) {
  for (const std::string& statement : TRY(Schema(db).missing())) TRY(db.script(statement));
  return {};
}

Result<bool> schema_is_complete(Session& db) {
  return TRY(Schema(db).missing()).empty();
}

Status drop_schema(Session& db) {
  const auto drop = [&](const std::string& table) {
    return db.script("DROP TABLE IF EXISTS " + db.dialect().quoted(table));
  };
  for (const Table& table : tables()) TRY(drop(Schema(db).table_name(table.name)));
  TRY(drop(Schema(db).table_name("session")));  // of JuiceFS before 1.0
  TRY(drop(db.dialect().render("cider_lock_wait")));
  TRY(drop(db.dialect().render("cider_client")));
  return drop(db.dialect().render("cider_op"));
}

namespace {

std::string typed(const Dialect& dialect, const char* column, Type type) {
  return dialect.quoted(column) + " " + spelling(type, dialect);
}

}  // namespace

Status create_lock_waits(Session& db) {
  const Dialect& dialect = db.dialect();
  return db.script("CREATE TABLE IF NOT EXISTS " + dialect.quoted(dialect.render("cider_lock_wait")) + " (" +
                   typed(dialect, "sid", Type::big) + ", " + typed(dialect, "owner", Type::big) + ", " +
                   typed(dialect, "inode", Type::big) + ", " + typed(dialect, "record", Type::bytes) +
                   ", PRIMARY KEY (sid, owner))" +
                   (dialect.kind() == Dialect::Kind::sqlite ? " WITHOUT ROWID" : ""));
}

Result<bool> has_lock_waits(Session& db) {
  return table_exists(db, db.dialect().render("cider_lock_wait"));
}

namespace {

// Older clients name the columns that they know.
std::string usage_column(const Dialect& dialect, const char* column) {
  return typed(dialect, column, Type::big) + " DEFAULT 0";
}

}  // namespace

Result<bool> has_op_slots(Session& db) {
  const Dialect& dialect = db.dialect();
  return TRY(table_exists(db, dialect.render("cider_client"))) &&
         TRY(Schema(db).has_column(dialect.render("cider_op"), "inodes"));
}

Status create_op_slots(Session& db) {
  const Dialect& dialect = db.dialect();
  const std::string ops = dialect.render("cider_op");
  const std::string space = usage_column(dialect, "space");
  const std::string inodes = usage_column(dialect, "inodes");
  TRY(db.script("CREATE TABLE IF NOT EXISTS " + dialect.quoted(ops) + " (" +
                typed(dialect, "client", Type::short_bytes) + ", " + typed(dialect, "slot", Type::big) +
                ", " + typed(dialect, "seq", Type::big) + ", " + space + ", " + inodes +
                ", PRIMARY KEY (client, slot))"));
  if (!TRY(Schema(db).has_column(ops, "inodes"))) {
    const std::string add =
        dialect.kind() == Dialect::Kind::postgres ? "ADD COLUMN IF NOT EXISTS " : "ADD COLUMN ";
    TRY(db.script("ALTER TABLE " + dialect.quoted(ops) + " " + add + space + ", " + add + inodes));
  }
  return db.script("CREATE TABLE IF NOT EXISTS " + dialect.quoted(dialect.render("cider_client")) + " (" +
                   typed(dialect, "client", Type::short_bytes) + ", " + typed(dialect, "sid", Type::big) +
                   ", " + typed(dialect, "volume", Type::short_bytes) + ", " +
                   typed(dialect, "space", Type::big) + ", " + typed(dialect, "inodes", Type::big) + ", " +
                   typed(dialect, "gone", Type::big) + ", PRIMARY KEY (client))");
}

}  // namespace cider::meta::sql
