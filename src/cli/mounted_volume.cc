#include "cli/mounted_volume.h"

#include "base/log.h"
#include "chunk/block_store.h"
#include "cli/mounted_cache.h"
#include "cli/volume_access.h"
#include "cli/volume_encryption.h"
#include "object/object_store.h"
#include "vfs/catalog.h"
#include "vfs/front.h"
#include "vfs/volume_file_system.h"

namespace cider::cli {
namespace {

Result<std::unique_ptr<VolumeObjects>> open_plan_objects(const MountPlan& plan, const meta::Volume& volume,
                                                         MemoryBudget& budget) {
  auto objects = TRY(VolumeObjects::open(volume, plan.objects, budget));
  object::ObjectStore& store = objects->store();
  if (Status there = store.check_bucket(); !there) {
    const bool local = plan.objects.storage.value_or(volume.storage) == "file";
    return fail(there.error().code,
                "storage " + store.name() + ": " + there.error().to_string() +
                    (local ? "; is its disk mounted? (--bucket tells where the data is now)" : ""));
  }
  if (plan.check_storage) TRY(test_objects(store));
  // A key that doesn't fit is told now, and not by the first read.
  if (!volume.encrypt_key.empty() && code_of(check_mark(store, volume)) == EBADMSG) {
    return fail(EINVAL, "storage " + store.name() +
                            ": the data was encrypted with another RSA key than that of volume " +
                            volume.name);
  }
  return objects;
}

// The directory of --subdir; made where it isn't there, as JuiceFS does.
Result<Ino> subdir_root(meta::Meta& meta, std::string_view path, bool read_only) {
  Caller root;
  Ino dir = kRootIno;
  while (!path.empty()) {
    size_t slash = path.find('/');
    std::string_view name = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (name.empty() || name == ".") continue;
    Result<meta::Node> found = meta.lookup(root, dir, name);
    if (!found && found.error().code == ENOENT && !read_only) {
      meta::NewNode folder;
      folder.type = meta::FileType::directory;
      folder.mode = 0777;
      found = meta.mknod(root, dir, name, folder);
    }
    if (!found)
      return fail(found.error().code, "--subdir: " + std::string(name) + ": " + found.error().to_string());
    if (found->attr.type != meta::FileType::directory)
      return fail(ENOTDIR, "--subdir: " + std::string(name) + " is not a directory");
    dir = found->ino;
  }
  return dir;
}

// The lines of a change log have no place for a part of a slice.
chunk::DataOptions data_options(const MountPlan& plan, meta::Meta& meta) {
  chunk::DataOptions options = plan.data;
  options.packing = options.packing && !meta.volume()->change_log;
  options.pack_members = std::min(options.pack_members, meta.store().records_per_commit());
  return options;
}

}  // namespace

// In the order of construction; destroyed from the last to the first.
struct MountedVolume::Parts {
  Parts(MountPlan p, OpenedVolume opened, std::unique_ptr<MemoryBudget> memory,
        std::unique_ptr<VolumeObjects> stored, const chunk::Layout& layout,
        std::unique_ptr<MountedCache> block_cache)
      : plan(std::move(p)),
        name(opened.volume.name),
        budget(std::move(memory)),
        objects(std::move(stored)),
        cache(std::move(block_cache)),
        blocks(objects->store(), layout, budget.get(), cache->cache()),
        meta(std::move(opened.store), std::move(opened.volume), plan.meta),
        catalog(meta),
        data(blocks, catalog, *budget, data_options(plan, meta)) {}

  MountPlan plan;
  const std::string name;
  std::unique_ptr<MemoryBudget> budget;
  std::unique_ptr<VolumeObjects> objects;
  std::unique_ptr<MountedCache> cache;
  chunk::BlockStore blocks;
  meta::Meta meta;
  vfs::MetaCatalog catalog;
  chunk::DataPath data;
  std::optional<vfs::VolumeFileSystem> files;
  std::optional<vfs::Front> front;
  std::unique_ptr<fuse::Session> session;
  bool stopped = false;

  // Where start() went wrong half-way.
  void abandon() {
    catalog.stop();
    meta.stop();
    data.stop();
    stopped = true;
  }

  // Blocks are read and uploaded until here.
  ~Parts() { cache->stop(); }

  Status begin() {
    meta.on_volume_change([this](const meta::Volume& volume) { objects->follow(volume); });
    cache->use(blocks, *budget, plan.meta.read_only);
    plan.vfs.upload_staged = cache->drain();
    plan.vfs.cache_fill = cache->fill();
    TRY(meta.start(vfs::data_callbacks(data, blocks)));
    if (!plan.subdir.empty()) plan.vfs.root = TRY(subdir_root(meta, plan.subdir, plan.meta.read_only));
    files.emplace(meta, catalog, data, *budget, plan.vfs);
    if (!plan.vfs.access_log.empty()) TRY(files->access_log().append_to(plan.vfs.access_log));
    front.emplace(*files, files->access_log(), plan.vfs);
    fuse::SessionOptions options;
    options.mount = {plan.mount_point, "CiderFS:" + name, plan.flags};
    options.fuse = plan.fuse;
    options.transport.budget = budget.get();
    session = TRY(fuse::Session::start(*front, options));
    return {};
  }
};

MountedVolume::MountedVolume(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

MountedVolume::~MountedVolume() {
  if (parts_->stopped) return;
  if (Status stopped = stop(); !stopped) log::error("stop: " + stopped.error().to_string());
}

Result<std::unique_ptr<MountedVolume>> MountedVolume::start(MountPlan plan) {
  OpenedVolume opened =
      TRY(open_volume(plan.meta_url, plan.meta.read_only ? Access::read_only : Access::read_write));
  auto budget = std::make_unique<MemoryBudget>(plan.buffer_size);
  auto objects = TRY(open_plan_objects(plan, opened.volume, *budget));
  const chunk::Layout layout = TRY(block_layout(opened.volume));
  auto key = TRY(cache_key(objects->encryptor(), opened.volume.uuid));
  auto cache = TRY(MountedCache::open(plan.cache, opened.volume.uuid, std::move(key), layout,
                                      objects->local_folder(), budget->limit()));
  plan.meta.session = this_session(plan.mount_point);
  plan.fuse.acl = opened.volume.enable_acl;
  plan.fuse.xattr = plan.fuse.xattr || plan.fuse.acl;
  auto parts = std::make_unique<Parts>(std::move(plan), std::move(opened), std::move(budget),
                                       std::move(objects), layout, std::move(cache));
  if (Status begun = parts->begin(); !begun) {
    if (parts->files) {
      parts->stopped = true;
      if (Status stopped = parts->files->stop(vfs::kFlushDeadline); !stopped)
        log::error("stop: " + stopped.error().to_string());
    } else {
      parts->abandon();
    }
    return fail(std::move(begun).error());
  }
  return std::unique_ptr<MountedVolume>(new MountedVolume(std::move(parts)));
}

const std::string& MountedVolume::name() const {
  return parts_->name;
}

void MountedVolume::wait() {
  parts_->session->wait();
}

Status MountedVolume::request_unmount(bool lazy) {
  return parts_->session->request_unmount(lazy);
}

Status MountedVolume::flush() {
  return parts_->files->flush_all(vfs::kFlushDeadline, {});
}

Status MountedVolume::stop() {
  parts_->session.reset();
  parts_->stopped = true;
  return parts_->files->stop(vfs::kFlushDeadline);
}

}  // namespace cider::cli
