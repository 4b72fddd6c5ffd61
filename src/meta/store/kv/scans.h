// What an ordered-KV engine is asked beside transactions: listings, sessions, work for jobs, whole tables.
#pragma once

#include <vector>

#include "meta/store/kv/kv.h"
#include "meta/store/store.h"

namespace cider::meta::kv {

Result<std::vector<ListedEntry>> list_dir(View& view, Ino dir, DirCursor* cursor, size_t limit,
                                          bool with_attrs);

Result<std::vector<SessionRecord>> list_sessions(View& view);
Result<std::vector<Ino>> sustained_inodes(View& view, uint64_t sid);
Result<std::vector<RecordLockOwner>> session_locks(View& view, uint64_t sid);

// Of usage_tally.h.
Result<std::vector<Pair>> tally_records(View& view);

Result<std::vector<DeletedFile>> deleted_files(View& view, int64_t before, size_t limit);
Result<std::vector<uint32_t>> chunks_of(View& view, Ino ino);
Result<std::vector<DelayedSlice>> unreferenced_slices(View& view, size_t limit);
Result<std::vector<DelayedRow>> delayed_slices(View& view, int64_t before, size_t limit);

Result<std::vector<ChunkRow>> scan_chunks(View& view, TableCursor* cursor, size_t limit);
Result<std::vector<SliceCount>> scan_slice_counts(View& view, TableCursor* cursor, size_t limit);
Result<std::vector<DelayedList>> scan_delayed(View& view, TableCursor* cursor, size_t limit);
Result<std::vector<DeletedFile>> scan_deleted_files(View& view, TableCursor* cursor, size_t limit);

}  // namespace cider::meta::kv
