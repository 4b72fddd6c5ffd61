// `warmup`: the blocks of files, and of all files below directories, into the cache or out of it, or where
// they are. Format of the answer: JuiceFS 1.4 pkg/vfs/internal.go CacheResponse as JSON, and "FailedFiles".
#pragma once

#include <functional>
#include <string>

#include "chunk/cache_fill.h"
#include "meta/meta.h"
#include "vfs/control_message.h"

namespace cider::vfs {

// `progress` hears of files done and bytes looked at. Paths begin at `root`; one that isn't there is a
// warning in the log. Ends early when caller.interrupt is requested.
std::string fill_reply(meta::Meta& meta, chunk::CacheFill& fill, const Caller& caller, Ino root,
                       const FillCacheRequest& request,
                       const std::function<void(uint64_t files, uint64_t bytes)>& progress);

}  // namespace cider::vfs
