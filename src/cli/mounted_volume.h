// One mounted volume: where all layers are put together, started and stopped. Nothing else knows them all.
//
// Start: engine -> metadata -> object store -> blocks -> data path -> file system -> kernel. Stop: the other
// way round, so that whoever is stopped has what it needs below it: the kernel's last request is answered,
// running commands end, data is committed, jobs end, the session goes, the data path's threads end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "chunk/data_path.h"
#include "cli/cache_plan.h"
#include "cli/volume_objects.h"
#include "fuse/session.h"
#include "meta/meta.h"
#include "vfs/options.h"

namespace cider::cli {

// What `mount` was asked for, checked.
struct MountPlan {
  std::string meta_url;
  std::string mount_point;  // absolute
  std::string subdir;       // the directory of the volume that becomes the root, without "..";
                            // empty: all
  ObjectOptions objects;
  bool check_storage = false;
  uint64_t buffer_size = 300 << 20;
  meta::MetaOptions meta;
  chunk::DataOptions data;
  CachePlan cache;
  vfs::VfsOptions vfs;
  fuse::FuseOptions fuse;
  fuse::MountFlags flags;
};

class MountedVolume {
 public:
  // Returns when the kernel can send requests.
  static Result<std::unique_ptr<MountedVolume>> start(MountPlan plan);
  ~MountedVolume();

  const std::string& name() const;
  // Returns when the volume has been unmounted, by anybody.
  void wait();
  // Starts the end; see fuse::Session. From any thread.
  Status request_unmount(bool lazy);
  // Commits what is buffered, but stops nothing.
  Status flush();
  // After wait(). The error tells which data could not be committed.
  Status stop();

 private:
  struct Parts;
  explicit MountedVolume(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cider::cli
