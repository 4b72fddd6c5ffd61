#include "cli/mounted_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "base/metrics.h"
#include "chunk/cache/cache_dirs.h"
#include "chunk/cache/disk_cache.h"
#include "chunk/cache/memory_cache.h"
#include "chunk/staging.h"

namespace cider::cli {
namespace {

constexpr double kPendingShare = 0.2;  // of the memory budget, for blocks on their way to the cache's disk

chunk::MemoryCache::Options memory_options(const chunk::CacheOptions& options, uint32_t block_size) {
  return {.size = options.size,
          .items = options.items,
          .eviction = options.eviction,
          .expire = options.expire,
          .block_size = block_size,
          .partial_only = options.partial_only,
          .large_write = options.large_write};
}

chunk::StagingTarget staging_target(chunk::BlockStore& blocks) {
  using chunk::BlockName;
  chunk::StagingTarget target;
  target.upload = [&blocks](const BlockName& block, const BufferChain& data, std::stop_token stop) {
    return blocks.upload_block(block, data, std::move(stop));
  };
  target.exists = [&blocks](const BlockName& block) { return blocks.has_object(block); };
  target.remove = [&blocks](const BlockName& block) {
    if (Status removed = blocks.remove_object(block); !removed)
      log::warning("a block of a deleted slice stays in the store: " + removed.error().to_string());
  };
  return target;
}

// Whether a block that is read from the cache comes from the very disk that has the object.
bool are_all_on_disk_of(const std::string& folder, const chunk::CacheDirs& dirs) {
  struct stat objects{};
  if (folder.empty() || ::stat(folder.c_str(), &objects) != 0) return false;
  for (size_t i = 0; i < dirs.size(); ++i) {
    struct stat about{};
    if (::stat(dirs[i].path().c_str(), &about) != 0 || about.st_dev != objects.st_dev) return false;
  }
  return true;
}

}  // namespace

struct MountedCache::Parts {
  CachePlan plan;
  std::shared_ptr<chunk::CacheDirs> dirs;
  std::unique_ptr<chunk::DiskCache> disk;
  std::unique_ptr<chunk::MemoryCache> memory;
  std::unique_ptr<chunk::Staging> staging;
  std::optional<chunk::CacheFill> fill;
};

MountedCache::MountedCache(CachePlan plan) : parts_(std::make_unique<Parts>()) {
  parts_->plan = std::move(plan);
}

MountedCache::~MountedCache() {
  stop();
}

void MountedCache::stop() {
  if (parts_->staging) {
    parts_->staging->stop();
    if (const auto left = parts_->staging->usage(); left.blocks > 0)
      log::info(std::to_string(left.blocks) + " staged blocks (" + std::to_string(left.bytes) +
                " bytes) wait for the next mount");
    parts_->staging.reset();
  }
  if (parts_->disk) parts_->disk->stop();
}

chunk::BlockCache* MountedCache::cache() {
  if (parts_->disk) return parts_->disk.get();
  return parts_->memory.get();
}

chunk::CacheFill* MountedCache::fill() {
  return parts_->fill ? &*parts_->fill : nullptr;
}

std::function<Status(std::stop_token, const std::function<void(uint64_t, uint64_t)>&)> MountedCache::drain() {
  if (!parts_->staging) return {};
  return [staging = parts_->staging.get()](std::stop_token stop, const auto& left) {
    return staging->drain(std::move(stop), [&](const chunk::Staging::Usage& usage) {
      if (left) left(usage.blocks, usage.bytes);
    });
  };
}

Result<std::unique_ptr<MountedCache>> MountedCache::open(const CachePlan& plan, const std::string& uuid,
                                                         std::shared_ptr<const AeadKey> key,
                                                         const chunk::Layout& layout,
                                                         const std::string& local_folder,
                                                         uint64_t buffer_size) {
  if (plan.encrypt && !key) {
    return fail(
        EINVAL,
        "option --encrypt-cache needs an encrypted volume, whose RSA key it uses (--encrypt-rsa-key of "
        "format)");
  }
  std::unique_ptr<MountedCache> mounted(new MountedCache(plan));
  Parts& parts = *mounted->parts_;
  chunk::CacheOptions options = plan.options;
  if (options.size == 0) return mounted;
  if (!options.in_memory()) {
    const chunk::CacheDir::Options common{
        "", options.mode, options.free_ratio, layout.hash_prefix, std::move(key), plan.encrypt};
    parts.dirs = std::make_shared<chunk::CacheDirs>(chunk::expand_cache_dirs(options.dirs), uuid, common);
    if (parts.dirs->empty()) {
      if (plan.writeback) return fail(EIO, "--writeback: none of the folders of --cache-dir can be used");
      options.size = std::min<uint64_t>(options.size, chunk::MemoryCache::Options().size);
      log::warning("none of the folders of --cache-dir can be used; " + std::to_string(options.size >> 20) +
                   " MiB are cached in memory");
    }
  }
  if (!parts.dirs || parts.dirs->empty()) {
    parts.memory =
        std::make_unique<chunk::MemoryCache>(memory_options(options, layout.block_size), metrics());
    return mounted;
  }
  options.only_asked = !layout.whole_objects && are_all_on_disk_of(local_folder, *parts.dirs);
  if (options.only_asked) {
    log::info("the objects are on the same disk as the cache, which takes only blocks that warmup asks for");
  }
  const auto pending = static_cast<uint64_t>(kPendingShare * static_cast<double>(buffer_size));
  parts.disk = std::make_unique<chunk::DiskCache>(
      parts.dirs, chunk::DiskCache::Options{options, layout.block_size, pending}, metrics());
  parts.disk->start();
  return mounted;
}

void MountedCache::use(chunk::BlockStore& blocks, MemoryBudget& budget, bool read_only) {
  if (cache()) parts_->fill.emplace(blocks, *cache(), budget);
  if (!parts_->disk || read_only) return;
  chunk::StagingOptions options = parts_->plan.staging;
  options.accept = parts_->plan.writeback;
  parts_->staging = std::make_unique<chunk::Staging>(parts_->dirs, parts_->disk.get(), staging_target(blocks),
                                                     options, budget, metrics());
  parts_->staging->start();
  blocks.stage_in(parts_->staging.get());
}

}  // namespace cider::cli
