#include "vfs/volume_file_system.h"

#include "base/log.h"

namespace cider::vfs {

VolumeFileSystem::VolumeFileSystem(meta::Meta& meta, MetaCatalog& catalog, chunk::DataPath& data,
                                   const MemoryBudget& budget, VfsOptions options, const Clock& clock)
    : meta_(meta),
      catalog_(catalog),
      data_(data),
      budget_(budget),
      options_(std::move(options)),
      clock_(clock),
      internal_(options_.prefix_internal, options_.root == kRootIno),
      dirs_(changes_, options_.attr_ttl),
      control_(meta, {.inner = [this](Ino ino) { return inner(ino); },
                      .entry_gone =
                          [this](Ino parent, const std::string& name) {
                            changes_.mark(parent);
                            notify({.parent = outer(parent), .name = name});
                          },
                      .flush_all = [this](std::stop_token stop, const auto& left) -> Status {
                        TRY(flush_all(kFlushDeadline, stop));
                        return options_.upload_staged ? options_.upload_staged(stop, left) : Status{};
                      },
                      .fill = options_.cache_fill,
                      .root = options_.root}) {
  catalog_.on_commit([this](const MetaCatalog::Committed& commit) { committed(commit); });
}

VolumeFileSystem::~VolumeFileSystem() = default;

Status VolumeFileSystem::flush_all(std::chrono::milliseconds deadline, std::stop_token stop) {
  return data_.flush_all(deadline, std::move(stop), [this](Ino ino) {
    const auto paths = meta_.paths(ino);
    return paths && !paths->empty() ? paths->front() : "inode " + std::to_string(ino);
  });
}

Status VolumeFileSystem::stop(std::chrono::milliseconds deadline) {
  handles_.close_internal();
  control_.stop();
  Status flushed = flush_all(deadline, {});
  if (!flushed) log::error("data that could not be committed is lost: " + flushed.error().to_string());
  catalog_.stop();
  meta_.stop();
  data_.stop();
  return flushed;
}

}  // namespace cider::vfs
