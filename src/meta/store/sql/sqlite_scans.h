// Reads of more than one record: listings, sessions, and what background jobs look for.
#pragma once

#include <vector>

#include "base/result.h"
#include "meta/store/sql/sqlite_db.h"
#include "meta/store/store.h"

namespace cider::meta::sqlite {

// A page of a directory in the order of names. The cursor holds the last name, and as `bound` the highest row
// id at the beginning: rows made later are left out, so a listing ends while others create and rename.
Result<std::vector<ListedEntry>> list_dir(Connection& db, Ino dir, DirCursor* cursor, size_t limit,
                                          bool with_attrs);

Result<std::vector<SessionRecord>> list_sessions(Connection& db);
Result<std::vector<Ino>> sustained_inodes(Connection& db, uint64_t sid);
Result<std::vector<RecordLockOwner>> session_locks(Connection& db, uint64_t sid);

Result<std::vector<DeletedFile>> deleted_files(Connection& db, int64_t before, size_t limit);
Result<std::vector<uint32_t>> chunks_of(Connection& db, Ino ino);
Result<std::vector<DelayedSlice>> unreferenced_slices(Connection& db, size_t limit);
Result<std::vector<DelayedRow>> delayed_slices(Connection& db, int64_t before, size_t limit);

// Pages of whole tables, each in the order of its primary key: rows made meanwhile come at the end.
Result<std::vector<ChunkRow>> scan_chunks(Connection& db, TableCursor* cursor, size_t limit);
Result<std::vector<SliceCount>> scan_slice_counts(Connection& db, TableCursor* cursor, size_t limit);
Result<std::vector<DelayedList>> scan_delayed(Connection& db, TableCursor* cursor, size_t limit);
Result<std::vector<DeletedFile>> scan_deleted_files(Connection& db, TableCursor* cursor, size_t limit);

}  // namespace cider::meta::sqlite
