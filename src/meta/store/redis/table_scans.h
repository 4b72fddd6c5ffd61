// Scans of all chunks, counts, delayed slices and deleted files (Store::scan_...): SCAN and its like, whose
// pages are short for the server. What a page brought beyond the caller's limit is kept for the next call.
#pragma once

#include <vector>

#include "meta/store/redis/client.h"
#include "meta/store/store.h"

namespace cider::meta::redis {

Result<std::vector<ChunkRow>> scan_chunks(Client& client, TableCursor* cursor, size_t limit);
Result<std::vector<SliceCount>> scan_slice_counts(Client& client, TableCursor* cursor, size_t limit);
Result<std::vector<DelayedList>> scan_delayed(Client& client, TableCursor* cursor, size_t limit);
Result<std::vector<DeletedFile>> scan_deleted_files(Client& client, TableCursor* cursor, size_t limit);

}  // namespace cider::meta::redis
