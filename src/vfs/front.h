// What every request passes on its way in: who the caller counts as (squash, umask), how many requests of
// each kind there were and how long they took, and a line in the access log. The file system behind it sees
// none of this.
//
// Reading `.accesslog` itself is neither counted nor logged, or it would never fall silent.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "vfs/access_log.h"
#include "vfs/file_system.h"
#include "vfs/options.h"

namespace cider::vfs {

class Front : public FileSystem {
 public:
  // Both must outlive it. Of the options only identity is used.
  Front(FileSystem& inner, AccessLog& log, const VfsOptions& options, MetricSet& metrics = cider::metrics());

  Result<EntryReply> lookup(const Caller&, Ino parent, std::string_view name) override;
  Result<AttrReply> getattr(const Caller&, Ino ino, std::optional<Handle> handle) override;
  Result<AttrReply> setattr(const Caller&, Ino ino, const SetAttr& set,
                            std::optional<Handle> handle) override;
  Result<std::string> readlink(const Caller&, Ino ino) override;
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
  Result<OpenReply> open(const Caller&, Ino ino, int flags, bool kill_suidgid) override;
  Result<CreateReply> create(const Caller&, Ino parent, std::string_view name, uint32_t mode,
                             int flags) override;
  Result<CreateReply> tmpfile(const Caller&, Ino parent, uint32_t mode, int flags) override;
  Result<BufferChain> read(const Caller&, Ino ino, Handle handle, uint64_t off, uint32_t size) override;
  void write(const Caller&, Ino ino, Handle handle, uint64_t off, Buffer data, bool kill_suidgid,
             Completion<uint32_t> done) override;
  Status flush(const Caller&, Ino ino, Handle handle, uint64_t lock_owner) override;
  Status fsync(const Caller&, Ino ino, Handle handle, bool data_only) override;
  void release(const Caller&, Ino ino, Handle handle, std::optional<uint64_t> flock_owner) override;
  Result<OpenReply> opendir(const Caller&, Ino ino, int flags) override;
  Status readdir(const Caller&, Ino ino, Handle handle, uint64_t off, bool plus,
                 const std::function<bool(const DirEntry&)>& sink) override;
  Status fsyncdir(const Caller&, Ino ino, Handle handle) override;
  void releasedir(const Caller&, Ino ino, Handle handle) override;
  Result<StatFs> statfs(const Caller&, Ino ino) override;
  Status access(const Caller&, Ino ino, int mask) override;
  Result<std::string> getxattr(const Caller&, Ino ino, std::string_view name) override;
  Result<std::vector<std::string>> listxattr(const Caller&, Ino ino) override;
  Status setxattr(const Caller&, Ino ino, std::string_view name, std::string_view value,
                  XattrFlags flags) override;
  Status removexattr(const Caller&, Ino ino, std::string_view name) override;
  Status fallocate(const Caller&, Ino ino, Handle handle, int mode, uint64_t off, uint64_t len) override;
  Result<uint64_t> copy_file_range(const Caller&, Ino in, Handle in_handle, uint64_t in_off, Ino out,
                                   Handle out_handle, uint64_t out_off, uint64_t len) override;
  Result<uint64_t> lseek(const Caller&, Ino ino, Handle handle, uint64_t off, int whence) override;
  Result<FileLock> getlk(const Caller&, Ino ino, Handle handle, uint64_t owner,
                         const FileLock& lock) override;
  void setlk(const Caller&, Ino ino, Handle handle, uint64_t owner, const FileLock& lock, bool wait,
             Completion<void> done) override;
  void flock(const Caller&, Ino ino, Handle handle, uint64_t owner, LockType type, bool wait,
             Completion<void> done) override;
  Result<std::string> ioctl(const Caller&, Ino ino, Handle handle, uint32_t command, std::string_view in,
                            uint32_t out_size) override;
  void set_notifier(Notifier notifier) override { inner_.set_notifier(std::move(notifier)); }

 private:
  using Moment = std::chrono::steady_clock::time_point;
  enum Kind : size_t {
    kLookup,
    kGetattr,
    kSetattr,
    kReadlink,
    kMknod,
    kMkdir,
    kSymlink,
    kLink,
    kUnlink,
    kRmdir,
    kRename,
    kOpen,
    kCreate,
    kTmpfile,
    kRead,
    kWrite,
    kFlush,
    kFsync,
    kRelease,
    kOpendir,
    kReaddir,
    kFsyncdir,
    kReleasedir,
    kStatfs,
    kAccess,
    kGetxattr,
    kListxattr,
    kSetxattr,
    kRemovexattr,
    kFallocate,
    kCopyFileRange,
    kLseek,
    kGetlk,
    kSetlk,
    kFlock,
    kIoctl,
    kKinds
  };
  static constexpr std::array<std::string_view, kKinds> kNames = {
      "lookup",          "getattr",  "setattr",   "readlink", "mknod",       "mkdir",
      "symlink",         "link",     "unlink",    "rmdir",    "rename",      "open",
      "create",          "tmpfile",  "read",      "write",    "flush",       "fsync",
      "release",         "opendir",  "readdir",   "fsyncdir", "releasedir",  "statfs",
      "access",          "getxattr", "listxattr", "setxattr", "removexattr", "fallocate",
      "copy_file_range", "lseek",    "getlk",     "setlk",    "flock",       "ioctl"};

  // Whom the file system shall see instead of the caller; nobody where it is the caller itself.
  std::optional<Caller> stand_in(const Caller& caller) const;

  // Runs `operation(caller)` and counts and logs it; `describe(result)` gives arguments and answer: "(1,a):
  // (7)".
  template <class Operation, class Describe>
  auto pass(Kind kind, const Caller& caller, Operation&& operation, Describe&& describe);
  template <class Describe>
  void record(Kind kind, const Caller& caller, int error, Moment began, Describe&& describe);
  void count(Kind kind, int error, std::chrono::duration<double> took);

  FileSystem& inner_;
  AccessLog& log_;
  const VfsOptions& options_;
  const bool maps_callers_;
  MetricSet& metrics_;
  struct OpMetrics {
    Counter* total;
    Counter* seconds;
  };
  std::array<OpMetrics, kKinds> ops_;
  std::array<std::atomic<Counter*>, 160> errors_{};  // by errno, made when first seen
  Histogram& latency_;
  Histogram& read_size_;
  Histogram& written_size_;
};

}  // namespace cider::vfs
