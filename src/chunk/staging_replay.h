// What a staging journal (staging_journal.h) holds becomes files again after a crash.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "chunk/cache/cache_dir.h"
#include "chunk/folder_sync.h"

namespace cider::chunk {

// Writes the file of each block in the journal at `path` that is not noted as done, where the disk has none
// that is whole; these survive a power loss then. Answers all blocks that are not done: the names of the
// other files may still be on their way to the disk. An error: some could not be written, and the journal is
// still needed.
//
// The store is not asked: a block that it has already is uploaded once more, under the same name.
Result<std::vector<BlockName>> replay_journal(CacheDir& dir, FolderSync& folders, const std::string& path,
                                              uint64_t segment);

}  // namespace cider::chunk
