// The tables of a volume in SQL engines: exactly those, with the same names, columns, indexes and spelling,
// that JuiceFS 1.4 makes (pkg/meta/sql.go), and one of our own.
#pragma once

#include <string>

#include "base/result.h"
#include "meta/store/sql/sqlite_db.h"

namespace cider::meta::sqlite {

Result<bool> table_exists(Connection& db, std::string_view table);

// Makes the tables, columns and indexes that are missing: all of a new volume's, or those that an older
// client did not know. Within a transaction of the caller's. EINVAL for a layout too old to be completed.
Status complete_schema(Connection& db);
// Whether complete_schema would change anything.
Result<bool> schema_is_complete(Connection& db);
// Drops every table of the volume, old names and our own among them.
Status drop_schema(Connection& db);

// Who waits for which lock: kept by CiderFS alone, made at the first wait.
Status create_lock_waits(Connection& db);
Result<bool> has_lock_waits(Connection& db);

}  // namespace cider::meta::sqlite
