// Applies the writes of operations (meta/store/writes.h) to the tables.
#pragma once

#include <vector>

#include "base/result.h"
#include "meta/store/pending_usage.h"
#include "meta/store/sql/changes.h"
#include "meta/store/sql/sqlite/sqlite_db.h"
#include "meta/store/writes.h"

namespace cider::meta::sqlite {

// The writes of one group of operations, on the connection that holds the write lock. Volume usage and
// directory statistics are summed up in memory and written once, by flush(), before the group's COMMIT: so
// they cost a row per group instead of one per operation, and a crash cannot separate them from what they
// count.
//
// EEXIST where a row that must be new is there; EIO where one that the read set promised is missing.
class Changes {
 public:
  explicit Changes(Connection& db) : db_(db) {}

  Status apply(const WriteItem& item);
  Status flush();
  void discard();
  // Answers a question within the transaction, with what is not flushed yet.
  Status answer(ReadItem* item);

 private:
  Status run(const sql::Change& change);
  Status prepare_lock_waits(const WriteItem& item, bool* present);

  Connection& db_;
  UsageSums sums_;
  std::vector<sql::Change> changes_;  // of the present write; kept for its memory
};

// Answers a question: without a transaction, or within the caller's.
Status answer(Connection& db, ReadItem* item);

}  // namespace cider::meta::sqlite
