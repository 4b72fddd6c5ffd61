// The inode-level file system, as FUSE (and later fs/) sees it. fuse/ calls it and knows nothing below it;
// nothing here names a kernel structure. VolumeFileSystem implements it over meta/ and chunk/.
//
// Thread-safe. Calls may block, except where said; each wait ends with EINTR soon after caller.interrupt is
// requested.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/caller.h"
#include "base/result.h"
#include "base/types.h"
#include "meta/model/attr.h"

namespace cider::vfs {

using meta::Attr;
using meta::FileType;
using Handle = uint64_t;
using Duration = std::chrono::nanoseconds;

// Called exactly once, from any thread, perhaps before the call that took it returns.
template <class T>
using Completion = std::move_only_function<void(Result<T>)>;

struct EntryReply {
  Ino ino = 0;  // 0: the name is known to be absent, for entry_ttl
  Attr attr;
  Duration entry_ttl{0};
  Duration attr_ttl{0};
};

struct AttrReply {
  Ino ino = 0;
  Attr attr;
  Duration attr_ttl{0};
};

struct OpenReply {
  Handle handle = 0;
  bool keep_cache = false;  // the kernel's pages of the file are still right
  bool direct_io = false;   // reads and writes bypass the page cache (internal files)
  bool no_flush = false;    // close needs no FLUSH
  bool cache_dir = false;   // the kernel may cache the directory's listing
  bool stale_attr =
      false;  // the kernel's attributes of the inode are old; it forgets them before it learns of the open
};

struct CreateReply {
  EntryReply entry;
  OpenReply open;
};

// Which fields of SetAttr are set.
struct SetAttr {
  std::optional<uint16_t> mode;  // 07777
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<uint64_t> size;
  std::optional<Time> atime;
  std::optional<Time> mtime;
  std::optional<Time> ctime;  // the kernel's, with writeback cache
  bool atime_now = false;
  bool mtime_now = false;
  bool kill_suidgid = false;  // clear suid, and sgid with group execute (HANDLE_KILLPRIV_V2)
};

struct StatFs {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
  uint64_t total_inodes = 0;
  uint64_t available_inodes = 0;
};

struct DirEntry {
  std::string_view name;
  Ino ino = 0;
  FileType type = FileType::file;
  uint64_t next_offset = 0;          // where the listing goes on after this entry
  const EntryReply* plus = nullptr;  // with readdirplus; null for "." and ".."
};

enum class LockType { read, write, unlock };

struct FileLock {
  LockType type = LockType::unlock;
  uint64_t start = 0;
  uint64_t end = 0;  // inclusive; INT64_MAX (0x7fff...) means to the end of the file
  uint32_t pid = 0;
};

struct XattrFlags {
  bool create = false;
  bool replace = false;
  bool kill_sgid = false;  // setting an access ACL by one who is not in the group
};

// Values of rename's flags, as in renameat2(2).
inline constexpr uint32_t kRenameNoReplace = 1;
inline constexpr uint32_t kRenameExchange = 2;
inline constexpr uint32_t kRenameWhiteout = 4;

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<EntryReply> lookup(const Caller& caller, Ino parent, std::string_view name) = 0;
  virtual Result<AttrReply> getattr(const Caller& caller, Ino ino, std::optional<Handle> handle) = 0;
  virtual Result<AttrReply> setattr(const Caller& caller, Ino ino, const SetAttr& set,
                                    std::optional<Handle> handle) = 0;
  virtual Result<std::string> readlink(const Caller& caller, Ino ino) = 0;

  // `mode` carries the type bits of mknod(2); umask is in the caller.
  virtual Result<EntryReply> mknod(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                                   uint32_t rdev) = 0;
  virtual Result<EntryReply> mkdir(const Caller& caller, Ino parent, std::string_view name,
                                   uint32_t mode) = 0;
  virtual Result<EntryReply> symlink(const Caller& caller, Ino parent, std::string_view name,
                                     std::string_view target) = 0;
  virtual Result<EntryReply> link(const Caller& caller, Ino ino, Ino new_parent,
                                  std::string_view new_name) = 0;
  virtual Status unlink(const Caller& caller, Ino parent, std::string_view name) = 0;
  virtual Status rmdir(const Caller& caller, Ino parent, std::string_view name) = 0;
  virtual Status rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent,
                        std::string_view new_name, uint32_t flags) = 0;

  // `flags` are open(2)'s O_*. kill_suidgid: clear suid/sgid because of O_TRUNC by one without CAP_FSETID.
  virtual Result<OpenReply> open(const Caller& caller, Ino ino, int flags, bool kill_suidgid) = 0;
  virtual Result<CreateReply> create(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                                     int flags) = 0;
  virtual Result<CreateReply> tmpfile(const Caller& caller, Ino parent, uint32_t mode, int flags) = 0;
  // The pieces are ready to be sent; shorter than `size` only at the end of the file (direct_io files: any
  // time).
  virtual Result<BufferChain> read(const Caller& caller, Ino ino, Handle handle, uint64_t off,
                                   uint32_t size) = 0;
  // Takes over `data`. Never blocks: `done` comes late when there is too much unwritten data.
  virtual void write(const Caller& caller, Ino ino, Handle handle, uint64_t off, Buffer data,
                     bool kill_suidgid, Completion<uint32_t> done) = 0;
  virtual Status flush(const Caller& caller, Ino ino, Handle handle, uint64_t lock_owner) = 0;
  virtual Status fsync(const Caller& caller, Ino ino, Handle handle, bool data_only) = 0;
  // `flock_owner` is set where the handle held a flock.
  virtual void release(const Caller& caller, Ino ino, Handle handle, std::optional<uint64_t> flock_owner) = 0;

  virtual Result<OpenReply> opendir(const Caller& caller, Ino ino, int flags) = 0;
  // Hands entries from `off` (0: the beginning, else a next_offset) to `sink` until it returns false (full)
  // or the end.
  virtual Status readdir(const Caller& caller, Ino ino, Handle handle, uint64_t off, bool plus,
                         const std::function<bool(const DirEntry&)>& sink) = 0;
  virtual Status fsyncdir(const Caller& caller, Ino ino, Handle handle) = 0;
  virtual void releasedir(const Caller& caller, Ino ino, Handle handle) = 0;

  virtual Result<StatFs> statfs(const Caller& caller, Ino ino) = 0;
  virtual Status access(const Caller& caller, Ino ino, int mask) = 0;

  virtual Result<std::string> getxattr(const Caller& caller, Ino ino, std::string_view name) = 0;
  virtual Result<std::vector<std::string>> listxattr(const Caller& caller, Ino ino) = 0;
  virtual Status setxattr(const Caller& caller, Ino ino, std::string_view name, std::string_view value,
                          XattrFlags flags) = 0;
  virtual Status removexattr(const Caller& caller, Ino ino, std::string_view name) = 0;

  // `mode` as fallocate(2)'s FALLOC_FL_*.
  virtual Status fallocate(const Caller& caller, Ino ino, Handle handle, int mode, uint64_t off,
                           uint64_t len) = 0;
  virtual Result<uint64_t> copy_file_range(const Caller& caller, Ino in, Handle in_handle, uint64_t in_off,
                                           Ino out, Handle out_handle, uint64_t out_off, uint64_t len) = 0;
  // `whence` is SEEK_DATA or SEEK_HOLE.
  virtual Result<uint64_t> lseek(const Caller& caller, Ino ino, Handle handle, uint64_t off, int whence) = 0;

  // fcntl locks. getlk answers the first lock in the way, or type unlock.
  virtual Result<FileLock> getlk(const Caller& caller, Ino ino, Handle handle, uint64_t owner,
                                 const FileLock& lock) = 0;
  // `wait`: done comes when the lock is held, or with EINTR / EDEADLK; never blocks the calling thread.
  virtual void setlk(const Caller& caller, Ino ino, Handle handle, uint64_t owner, const FileLock& lock,
                     bool wait, Completion<void> done) = 0;
  virtual void flock(const Caller& caller, Ino ino, Handle handle, uint64_t owner, LockType type, bool wait,
                     Completion<void> done) = 0;

  // `in` holds the argument bytes; answers the reply's bytes. ENOTTY for a command that isn't supported.
  virtual Result<std::string> ioctl(const Caller& caller, Ino ino, Handle handle, uint32_t command,
                                    std::string_view in, uint32_t out_size) = 0;

  // Tells the front end's notifier about a change that the kernel's caches must learn. Set once, before the
  // first call.
  struct Invalidation {
    Ino ino = 0;  // attributes (and, when `data`, cached pages) of this inode
    bool data = false;
    Ino parent = 0;  // with a name: this entry
    std::string name;
    std::move_only_function<void()> then = {};  // called once, from any thread, when the kernel knows
  };
  using Notifier = std::function<void(Invalidation)>;  // never blocks, never fails
  virtual void set_notifier(Notifier notifier) = 0;
};

}  // namespace cider::vfs
