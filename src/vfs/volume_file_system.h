// A mounted volume as a FileSystem: names and attributes by meta::Meta, file data by chunk::DataPath, and
// what belongs to this mount alone: handles, internal files, what the kernel may cache.
//
// Each operation is in the file that its family names: names.cc, attributes.cc, open.cc, data.cc,
// directory.cc, xattrs.cc, locks.cc, ioctl.cc, internal.cc.
//
// Requests come through a Front (front.h), which maps callers and logs and counts. Building and stopping a
// mount:
//   Meta -> MetaCatalog -> DataPath -> Meta::start(data_callbacks) -> VolumeFileSystem -> Front -> (fuse)
//   the front end stops sending requests -> VolumeFileSystem::stop() -> destructors, in the reverse order
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "base/budget.h"
#include "base/clock.h"
#include "chunk/data_path.h"
#include "meta/meta.h"
#include "vfs/access_log.h"
#include "vfs/catalog.h"
#include "vfs/control_commands.h"
#include "vfs/dir_attrs.h"
#include "vfs/file_system.h"
#include "vfs/handles.h"
#include "vfs/internal_files.h"
#include "vfs/kernel_view.h"
#include "vfs/local_changes.h"
#include "vfs/options.h"
#include "vfs/second_looks.h"

namespace cider::vfs {

class VolumeFileSystem : public FileSystem {
 public:
  // All must outlive it. `budget` is only asked for what `.stats` shows.
  VolumeFileSystem(meta::Meta& meta, MetaCatalog& catalog, chunk::DataPath& data, const MemoryBudget& budget,
                   VfsOptions options, const Clock& clock = Clock::system());
  ~VolumeFileSystem() override;

  AccessLog& access_log() { return access_log_; }
  const VfsOptions& options() const { return options_; }

  // Commits all data written so far. The error names what could not be.
  Status flush_all(std::chrono::milliseconds deadline, std::stop_token stop);
  // After the last request. In this order: running control commands end; buffered data of all inodes is
  // committed (until `deadline`); compaction, then metadata's jobs stop, locks and session go; the data
  // path's threads end. The error tells what data could not be committed.
  Status stop(std::chrono::milliseconds deadline);

  // names.cc
  Result<EntryReply> lookup(const Caller&, Ino parent, std::string_view name) override;
  Result<EntryReply> mknod(const Caller&, Ino parent, std::string_view name, uint32_t mode,
                           uint32_t rdev) override;
  Result<EntryReply> mkdir(const Caller&, Ino parent, std::string_view name, uint32_t mode) override;
  Result<EntryReply> symlink(const Caller&, Ino parent, std::string_view name,
                             std::string_view target) override;
  Result<EntryReply> link(const Caller&, Ino ino, Ino new_parent, std::string_view new_name) override;
  Status unlink(const Caller&, Ino parent, std::string_view name) override;
  Status rmdir(const Caller&, Ino parent, std::string_view name) override;
  Status rename(const Caller&, Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                uint32_t flags) override;
  Result<std::string> readlink(const Caller&, Ino ino) override;

  // attributes.cc
  Result<AttrReply> getattr(const Caller&, Ino ino, std::optional<Handle> handle) override;
  Result<AttrReply> setattr(const Caller&, Ino ino, const SetAttr& set,
                            std::optional<Handle> handle) override;
  Result<StatFs> statfs(const Caller&, Ino ino) override;
  Status access(const Caller&, Ino ino, int mask) override;

  // open.cc
  Result<OpenReply> open(const Caller&, Ino ino, int flags, bool kill_suidgid) override;
  Result<CreateReply> create(const Caller&, Ino parent, std::string_view name, uint32_t mode,
                             int flags) override;
  Result<CreateReply> tmpfile(const Caller&, Ino parent, uint32_t mode, int flags) override;
  Status flush(const Caller&, Ino ino, Handle handle, uint64_t lock_owner) override;
  void release(const Caller&, Ino ino, Handle handle, std::optional<uint64_t> flock_owner) override;

  // data.cc
  Result<BufferChain> read(const Caller&, Ino ino, Handle handle, uint64_t off, uint32_t size) override;
  void write(const Caller&, Ino ino, Handle handle, uint64_t off, Buffer data, bool kill_suidgid,
             Completion<uint32_t> done) override;
  Status fsync(const Caller&, Ino ino, Handle handle, bool data_only) override;
  Status fallocate(const Caller&, Ino ino, Handle handle, int mode, uint64_t off, uint64_t len) override;
  Result<uint64_t> copy_file_range(const Caller&, Ino in, Handle in_handle, uint64_t in_off, Ino out,
                                   Handle out_handle, uint64_t out_off, uint64_t len) override;
  Result<uint64_t> lseek(const Caller&, Ino ino, Handle handle, uint64_t off, int whence) override;

  // directory.cc
  Result<OpenReply> opendir(const Caller&, Ino ino, int flags) override;
  Status readdir(const Caller&, Ino ino, Handle handle, uint64_t off, bool plus,
                 const std::function<bool(const DirEntry&)>& sink) override;
  Status fsyncdir(const Caller&, Ino ino, Handle handle) override;
  void releasedir(const Caller&, Ino ino, Handle handle) override;

  // xattrs.cc
  Result<std::string> getxattr(const Caller&, Ino ino, std::string_view name) override;
  Result<std::vector<std::string>> listxattr(const Caller&, Ino ino) override;
  Status setxattr(const Caller&, Ino ino, std::string_view name, std::string_view value,
                  XattrFlags flags) override;
  Status removexattr(const Caller&, Ino ino, std::string_view name) override;

  // locks.cc
  Result<FileLock> getlk(const Caller&, Ino ino, Handle handle, uint64_t owner,
                         const FileLock& lock) override;
  void setlk(const Caller&, Ino ino, Handle handle, uint64_t owner, const FileLock& lock, bool wait,
             Completion<void> done) override;
  void flock(const Caller&, Ino ino, Handle handle, uint64_t owner, LockType type, bool wait,
             Completion<void> done) override;

  // ioctl.cc
  Result<std::string> ioctl(const Caller&, Ino ino, Handle handle, uint32_t command, std::string_view in,
                            uint32_t out_size) override;

  void set_notifier(Notifier notifier) override { notifier_ = std::move(notifier); }

 private:
  // The largest file: 2^31 chunks of 64 MiB.
  static constexpr uint64_t kMaxFileSize = kChunkSize << 31;
  // What truncate, fallocate and copy_file_range change.
  static constexpr meta::Fields kResized = meta::field::length | meta::field::mtime | meta::field::mode;

  // --- inode numbers: the kernel's root, 1, is the --subdir
  Ino inner(Ino ino) const { return ino == kRootIno ? options_.root : ino; }
  Ino outer(Ino ino) const { return ino == options_.root ? kRootIno : ino; }

  // --- the local view (attributes.cc): what the engine answered, with what this client knows better
  using Pending = std::optional<chunk::Pending>;
  static Attr with_pending(Attr attr, const Pending& before, const Pending& after);
  // `moment` and `before` were taken before `attr` was read.
  AttrReply attr_reply(Ino ino, const Attr& attr, uint64_t moment, const Pending& before);
  EntryReply entry_reply(Ino parent, Ino ino, const Attr& attr, uint64_t moment, const Pending& before);
  // For a node that lookup or create found at `moment`: asked again where data was committed since.
  Result<EntryReply> found_entry(const Caller& caller, Ino parent, const meta::Node& node, uint64_t moment);
  // For a node that this client made.
  EntryReply fresh_entry(const meta::Node& node);
  Duration entry_ttl(const Attr& attr) const;
  // Compares with what was known: a foreign change makes cached slice lists and pages wrong. True if there
  // was one; then the kernel must be told.
  bool take_in(Ino ino, const Attr& attr, uint64_t moment);
  // take_in() that tells the kernel, soon.
  bool learn(Ino ino, const Attr& attr, uint64_t moment);
  // After this client's own change of `fields` (and the ctime) is committed. Answers of commits don't come in
  // the order of the commits: what the others changed is left to them.
  void changed(Ino ino, const Attr& attr, meta::Fields fields);
  // The answer to a change that left the data alone. `before` was taken before the change.
  AttrReply changed_reply(Ino ino, const Attr& attr, const Pending& before);
  void distrust(Ino ino);
  void changed_by_others(Ino ino);
  void found_before_commit(Ino ino, const Attr& before);
  void committed(const MetaCatalog::Committed& commit);
  Result<Attr> truncate(const Caller& caller, Ino ino, uint64_t size, bool by_handle, bool kill_suidgid);
  Status kill_suidgid(const Caller& caller, OpenInode& inode);
  Status kill_capability(OpenInode& inode);
  void notify(Invalidation invalidation) {
    if (notifier_) return notifier_(std::move(invalidation));
    if (invalidation.then) invalidation.then();
  }

  // --- names
  // EPERM/EEXIST (as `code`) where the name is an internal file's.
  Status check_not_internal(Ino parent, std::string_view name, int code) const;
  Result<EntryReply> lookup_dots(const Caller& caller, Ino parent, std::string_view name);
  Result<EntryReply> make(const Caller& caller, Ino parent, std::string_view name, const meta::NewNode& node);

  // --- files
  Result<std::shared_ptr<OpenHandle>> find_file(Handle handle, Ino ino);
  Result<OpenReply> open_file(const Caller& caller, Ino ino, int flags, bool kill_suidgid);
  Result<OpenReply> open_present(const Caller& caller, const meta::Node& node, int flags);
  OpenReply opened(Ino ino, const Attr& attr, int flags);
  bool removed_by_others(Ino ino, int code);
  // The error of a request by name that needs the inode: ESTALE if others have removed it.
  Error stale_if_removed(Ino ino, const Error& error);
  bool refuses_as_full(const OpenInode& inode, uint64_t end);
  void unlock_all(const Caller& caller, Ino ino, uint64_t owner);
  // EIO through a handle whose locks were lost: others may have changed, or locked, what it relies on.
  Status check_locks(const OpenHandle& handle) const;
  // Notes in the handle that it has got a lock, and lets its new owner see what others wrote.
  Completion<void> noting_lock(const Caller& caller, std::shared_ptr<OpenHandle> handle,
                               Completion<void> done);
  void after_lock(const Caller& caller, Ino ino, std::move_only_function<void()> then);
  void flush_before_unlock(const Caller& caller, Ino ino);

  // --- directories
  bool is_as_listed(Ino ino, const Attr& attr, uint64_t moment);
  std::unique_ptr<DirStream> list_directory(Ino ino, Ino parent);
  Result<Attr> attr_of_open_directory(Ino ino) const;
  Attr as_by_handle(Ino ino, Attr attr) const;

  // --- xattrs
  Status check_xattr(Ino ino, std::string_view name) const;
  bool xattr_enabled(std::string_view name) const;

  // --- internal files (internal.cc)
  Result<EntryReply> internal_entry(const InternalNode& node);
  Result<OpenReply> open_internal(const Caller& caller, Ino ino, int flags);
  std::string stats_text() const;
  std::string config_text() const;

  meta::Meta& meta_;
  MetaCatalog& catalog_;
  chunk::DataPath& data_;
  const MemoryBudget& budget_;
  const VfsOptions options_;
  const Clock& clock_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const InternalFiles internal_;
  Notifier notifier_;
  AccessLog access_log_;
  LocalChanges changes_;
  DirAttrs dirs_;
  KernelView kernel_;
  SecondLooks second_looks_;
  std::atomic<int64_t> full_until_{0};  // steady clock, ns: a commit found the volume full a moment ago
  ControlCommands control_;
  HandleTable handles_;
};

}  // namespace cider::vfs
