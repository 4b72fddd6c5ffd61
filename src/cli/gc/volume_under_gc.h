// A volume without a mount: its metadata, its objects, and what compaction needs of the data path.
#pragma once

#include <memory>
#include <string>

#include "base/budget.h"
#include "base/result.h"
#include "chunk/block_store.h"
#include "cli/volume_access.h"
#include "cli/volume_objects.h"
#include "vfs/catalog.h"

namespace cider::cli {

class VolumeUnderGc {
 public:
  // With `writes` the volume is opened for writing, and a session registered while it is open.
  static Result<std::unique_ptr<VolumeUnderGc>> open(const std::string& meta_url, bool writes, int threads);
  ~VolumeUnderGc();

  meta::Meta& meta() { return meta_; }
  object::ObjectStore& objects() { return objects_->store(); }
  const chunk::Layout& layout() const { return blocks_.layout(); }

 private:
  VolumeUnderGc(OpenedVolume opened, std::unique_ptr<MemoryBudget> budget,
                std::unique_ptr<VolumeObjects> objects, const chunk::Layout& layout,
                const meta::MetaOptions& options);
  meta::DataCallbacks callbacks();

  const std::unique_ptr<MemoryBudget> budget_;
  const std::unique_ptr<VolumeObjects> objects_;
  chunk::BlockStore blocks_;
  meta::Meta meta_;
  vfs::MetaCatalog catalog_;
};

}  // namespace cider::cli
