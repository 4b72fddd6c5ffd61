// The tables of a volume in SQL engines: exactly those, with the same names, columns, types, indexes and
// spelling, that JuiceFS 1.4 makes (pkg/meta/sql.go), and those of our own, which JuiceFS passes over.
#pragma once

#include <string>

#include "base/result.h"
#include "meta/store/sql/session.h"

namespace cider::meta::sql {

Result<bool> table_exists(Session& db, std::string_view table);  // its whole name

// Makes the tables, columns and indexes that are missing: all of a new volume's, or those that an older
// client did not know. Within a transaction of the caller's. EINVAL for a layout too old to be completed.
Status complete_schema(Session& db);
// Whether complete_schema would change anything.
Result<bool> schema_is_complete(Session& db);
// Drops every table of the volume, old names and our own among them.
Status drop_schema(Session& db);

// cider_lock_wait: who waits for which lock. Made at the first wait.
Status create_lock_waits(Session& db);
Result<bool> has_lock_waits(Session& db);

// cider_op: the last commit of each connection of each client, by which it finds out after a broken
// connection whether it was made (server/transactions.h), and what it has added to the volume's usage. With
// cider_client: each client's session and what of that is counted (server/usage_tally.h). Made with the first
// commit; completed where an older client has made them.
Status create_op_slots(Session& db);
Result<bool> has_op_slots(Session& db);

}  // namespace cider::meta::sql
