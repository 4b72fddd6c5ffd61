// The block cache and staging of one mount.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/aead.h"
#include "base/budget.h"
#include "base/result.h"
#include "chunk/block_cache.h"
#include "chunk/block_store.h"
#include "chunk/cache_fill.h"
#include "cli/cache_plan.h"

namespace cider::cli {

class MountedCache {
 public:
  // A cache that can't be used is a warning, but with --writeback an error. `key` is that of encrypted
  // blocks, null where the volume isn't encrypted. `local_folder` has the objects, where it isn't empty.
  // `buffer_size` is the limit of the memory budget.
  static Result<std::unique_ptr<MountedCache>> open(const CachePlan& plan, const std::string& uuid,
                                                    std::shared_ptr<const AeadKey> key,
                                                    const chunk::Layout& layout,
                                                    const std::string& local_folder, uint64_t buffer_size);
  ~MountedCache();

  // Begins staging into and out of `blocks`, which nobody uses yet, unless the mount is read-only.
  void use(chunk::BlockStore& blocks, MemoryBudget& budget, bool read_only);
  // Ends all threads; what is staged waits for the next mount. After the data path has stopped, and before
  // what use() was given goes.
  void stop();

  chunk::BlockCache* cache();  // null: there is none

  chunk::CacheFill* fill();  // null where there is no cache

  // vfs::VfsOptions::upload_staged; empty where nothing is staged on this mount.
  std::function<Status(std::stop_token, const std::function<void(uint64_t, uint64_t)>&)> drain();

 private:
  struct Parts;
  explicit MountedCache(CachePlan plan);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cider::cli
