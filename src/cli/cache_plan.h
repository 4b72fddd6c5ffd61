// The options of `mount` about cached and staged blocks.
#pragma once

#include <string>

#include "base/result.h"
#include "chunk/cache/cache_options.h"
#include "chunk/staging.h"
#include "cli/arguments.h"

namespace cider::cli {

struct CachePlan {
  chunk::CacheOptions options;
  bool encrypt = false;  // what is on the disk; the volume must be encrypted
  bool writeback = false;
  chunk::StagingOptions staging;
};

// EINVAL names the option and its value: also for a cache that would lie in the mount itself, which would
// wait for itself.
Status plan_cache(const Arguments& arguments, const std::string& mount_point, CachePlan* plan);

}  // namespace cider::cli
