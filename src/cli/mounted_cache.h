// The block cache and staging of one mount.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/budget.h"
#include "base/result.h"
#include "chunk/block_cache.h"
#include "chunk/block_store.h"
#include "chunk/cache_fill.h"
#include "cli/cache_plan.h"

namespace cider::cli {

class MountedCache {
 public:
  // Connects staging to `blocks`, which must not be in use yet. What is given outlives this. A cache that
  // can't be used is a warning, but with --writeback an error.
  static Result<std::unique_ptr<MountedCache>> open(const CachePlan& plan, const std::string& uuid,
                                                    bool read_only, chunk::BlockStore& blocks,
                                                    MemoryBudget& budget);
  // Ends their threads; what is staged waits for the next mount. After the data path has stopped.
  ~MountedCache();

  chunk::BlockCache* cache();  // null: there is none

  chunk::CacheFill* fill();  // null where there is no cache

  // vfs::VfsOptions::upload_staged; empty where nothing is staged on this mount.
  std::function<Status(std::stop_token, const std::function<void(uint64_t, uint64_t)>&)> drain();

 private:
  MountedCache();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace cider::cli
