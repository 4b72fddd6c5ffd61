// What a Redis server is asked beside transactions: listings, sessions, work for jobs.
#pragma once

#include <vector>

#include "meta/store/redis/client.h"
#include "meta/store/store.h"

namespace cider::meta::redis {

Result<std::vector<ListedEntry>> list_dir(Client& client, Ino dir, DirCursor* cursor, size_t limit,
                                          bool with_attrs, const std::stop_token& stop);

Result<std::vector<SessionRecord>> list_sessions(Client& client);
Result<std::vector<Ino>> sustained_inodes(Client& client, uint64_t sid);
Result<std::vector<RecordLockOwner>> session_locks(Client& client, uint64_t sid);

Result<std::vector<DeletedFile>> deleted_files(Client& client, int64_t before, size_t limit);
Result<std::vector<uint32_t>> chunks_of(Client& client, Ino ino, uint64_t length);
Result<std::vector<DeletedFile>> files_with_chunks(Client& client, std::span<const DeletedFile> files);
// Those with first <= index <= last.
Result<std::vector<uint32_t>> chunks_between(Client& client, Ino ino, uint32_t first, uint32_t last);
Result<std::vector<DelayedSlice>> unreferenced_slices(Client& client, size_t limit);
Result<std::vector<DelayedRow>> delayed_slices(Client& client, int64_t before, size_t limit);

}  // namespace cider::meta::redis
