#include "cli/gc/volume_under_gc.h"

#include "chunk/rewrite.h"

namespace cider::cli {
namespace {

constexpr size_t kBudget = 300 << 20;  // as of a mount; each thread that compacts holds a block of it

}  // namespace

VolumeUnderGc::VolumeUnderGc(OpenedVolume opened, std::unique_ptr<MemoryBudget> budget,
                             std::unique_ptr<VolumeObjects> objects, const chunk::Layout& layout,
                             const meta::MetaOptions& options)
    : budget_(std::move(budget)),
      objects_(std::move(objects)),
      blocks_(objects_->store(), layout, budget_.get()),
      meta_(std::move(opened.store), std::move(opened.volume), options),
      catalog_(meta_) {}

VolumeUnderGc::~VolumeUnderGc() {
  catalog_.stop();
  meta_.stop();
}

meta::DataCallbacks VolumeUnderGc::callbacks() {
  meta::DataCallbacks out;
  out.delete_slice = [this](uint64_t id, uint32_t size) { return blocks_.remove_slice(id, size); };
  out.rewrite = [this](std::span<const Slice> parts) {
    return chunk::rewrite_slices(blocks_, catalog_, *budget_, parts, {});
  };
  return out;
}

Result<std::unique_ptr<VolumeUnderGc>> VolumeUnderGc::open(const std::string& meta_url, bool writes,
                                                           int threads) {
  OpenedVolume opened = TRY(open_volume(meta_url, writes ? Access::read_write : Access::read_only));
  auto budget = std::make_unique<MemoryBudget>(kBudget);
  auto objects = TRY(VolumeObjects::open(opened.volume, {}, *budget));
  // In a bucket of another volume everything would be leaked. Volumes of old releases have no mark.
  if (Status ours = check_mark(objects->store(), opened.volume); !ours && ours.error().code != ENOENT)
    return fail(std::move(ours).error());
  const chunk::Layout layout = TRY(block_layout(opened.volume));
  meta::MetaOptions options;
  options.read_only = !writes;
  options.background_jobs = false;
  options.max_deletes = threads;
  options.session = this_session("gc");
  std::unique_ptr<VolumeUnderGc> volume(
      new VolumeUnderGc(std::move(opened), std::move(budget), std::move(objects), layout, options));
  TRY(volume->meta_.start(volume->callbacks()));
  return volume;
}

}  // namespace cider::cli
