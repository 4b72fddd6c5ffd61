// Reads of more than one record: listings, sessions, and what background jobs look for.
#pragma once

#include <vector>

#include "base/result.h"
#include "meta/store/sql/session.h"
#include "meta/store/store.h"

namespace cider::meta::sql {

// A page of a directory in the order of names. The cursor holds the last name, and as `bound` the highest row
// id at the beginning: rows made later are left out, so a listing ends while others create and rename.
// Where the engine can: the bound and the first page at one instant, in a transaction of the caller's.
Result<std::vector<ListedEntry>> list_dir(Session& db, Ino dir, DirCursor* cursor, size_t limit,
                                          bool with_attrs);

Result<std::vector<SessionRecord>> list_sessions(Session& db);
Result<std::vector<Ino>> sustained_inodes(Session& db, uint64_t sid);
Result<std::vector<RecordLockOwner>> session_locks(Session& db, uint64_t sid);

Result<std::vector<DeletedFile>> deleted_files(Session& db, int64_t before, size_t limit);
Result<std::vector<uint32_t>> chunks_of(Session& db, Ino ino);
Result<std::vector<DelayedSlice>> unreferenced_slices(Session& db, size_t limit);
Result<std::vector<DelayedRow>> delayed_slices(Session& db, int64_t before, size_t limit);

// Pages of whole tables, each in the order of its primary key: rows made meanwhile come at the end.
Result<std::vector<ChunkRow>> scan_chunks(Session& db, TableCursor* cursor, size_t limit);
Result<std::vector<SliceCount>> scan_slice_counts(Session& db, TableCursor* cursor, size_t limit);
Result<std::vector<DelayedList>> scan_delayed(Session& db, TableCursor* cursor, size_t limit);
Result<std::vector<DeletedFile>> scan_deleted_files(Session& db, TableCursor* cursor, size_t limit);

}  // namespace cider::meta::sql
