// The writes of operations (meta/store/writes.h) as statements, and what is expected of their results: so an
// engine may send many of them before it looks at the first answer.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "meta/store/pending_usage.h"
#include "meta/store/sql/session.h"
#include "meta/store/sql/statement.h"
#include "meta/store/writes.h"

namespace cider::meta::sql {

struct Change {
  Statement statement;
  const WriteItem* item = nullptr;
  // Every row that it names is changed, because the read set has seen them: only a damaged database, or a
  // wrong operation, fails this.
  bool expects_all = false;
  bool answers = false;  // with a row for the operation: see take()
  int taken = 0;         // what the commit ends with where a unique key is taken; 0: the operation runs again
  bool joins = false;    // may be one statement with others of its text (repeated.h)
  int64_t rows = 1;
  std::vector<std::optional<Attr>*> more_after;  // further PatchNode::after
};

struct ChangeContext {
  const Dialect& dialect;
  bool has_lock_waits = true;  // whether our own table is there (schema.h)
};

// Appends the statements of a write, which live no longer than the write. AddUsage and AddDirStat have none:
// they are summed up (add_usage_changes()).
void add_changes(const WriteItem& item, const ChangeContext& context, std::vector<Change>* out);
void add_usage_changes(const UsageSums& sums, std::vector<Change>* out);

// Whether a statement has done what it should.
Status check(const Change& change, int64_t changed);
// Gives the operation the row that a change answered with.
Status take(const Change& change, Rows& rows);

}  // namespace cider::meta::sql
