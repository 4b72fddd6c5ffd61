// The plain files of staged blocks on their way to the disk.
#pragma once

#include <span>

#include "base/result.h"
#include "chunk/cache/cache_dir.h"
#include "chunk/folder_sync.h"

namespace cider::chunk {

// Returns when the files and their names survive a power loss. Those that are gone are passed over: whoever
// removes one has made its block safe elsewhere, or given it up.
Status sync_staged(CacheDir& dir, FolderSync& folders, std::span<const BlockName> blocks);

}  // namespace cider::chunk
