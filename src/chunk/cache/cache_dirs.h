// The cache directories of a volume: which one a block belongs to, as long as their disks are usable. The
// disk cache and staging share it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "chunk/cache/cache_dir.h"
#include "chunk/cache/dir_ring.h"

namespace cider::chunk {

// Thread-safe.
class CacheDirs {
 public:
  // Opens those of `dirs` that can be; the others are named in the log. `uuid` is the volume's.
  CacheDirs(const std::vector<std::string>& dirs, const std::string& uuid, const CacheDir::Options& common);

  bool empty() const { return dirs_.empty(); }
  size_t size() const { return dirs_.size(); }
  CacheDir& operator[](size_t place) const { return *dirs_[place]; }

  // The place of the directory for a block; size() when none is usable.
  size_t place(const BlockName& block) const;

  // After the health of a directory has changed: blocks of one that is down go to the others.
  void refresh();

 private:
  struct View {
    std::vector<size_t> places;
    DirRing ring;
  };
  std::vector<std::unique_ptr<CacheDir>> dirs_;
  const bool hash_prefix_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<const View>> views_;  // all that ever were: readers may be in an old one
  std::atomic<const View*> view_{nullptr};
};

}  // namespace cider::chunk
