// The questions of operations (meta/store/reads.h) as statements, one for each.
#pragma once

#include "base/result.h"
#include "meta/store/reads.h"
#include "meta/store/sql/session.h"
#include "meta/store/sql/statement.h"

namespace cider::meta::sql {

// The statement lives no longer than the question. PathRead has none: it is a walk (store/path_walk.h).
// The statement for LookupRead takes no locks, and those for the questions that are "not checked" don't
// either.
Statement question(const ReadItem& item);
// The answer, from all rows of its statement. EIO where a record makes no sense.
Status take(ReadItem* item, Rows& rows);
// The entry in the columns inode and type, from `first` on.
Result<Entry> read_entry(const Rows& row, int first, Ino parent);

}  // namespace cider::meta::sql
