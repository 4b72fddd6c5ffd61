// Open files and directories: by handle, as the kernel names them, and by inode, for what all handles of an
// inode share. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "vfs/dir_stream.h"
#include "vfs/file_system.h"
#include "vfs/internal_file.h"

namespace cider::vfs {

// What is known of an inode while it is open here.
class OpenInode {
 public:
  OpenInode(Ino ino, const Attr& attr) : ino_(ino), attr_(attr) {}

  Ino ino() const { return ino_; }
  // As the engine had it last; writes that are not committed yet don't show.
  Attr attr() const {
    std::lock_guard lock(mutex_);
    return attr_;
  }
  uint64_t length() const {
    std::lock_guard lock(mutex_);
    return attr_.length;
  }
  // Runs `update(Attr&)` with nobody else reading or updating.
  template <class Update>
  auto update(Update&& update) {
    std::lock_guard lock(mutex_);
    return update(attr_);
  }

  // Whether the file may have capabilities (security.capability), which a write takes. True until somebody
  // has looked, so that only the first write asks the engine.
  std::atomic<bool> may_have_capability = true;

  // Owners of fcntl locks taken here, each with the handle it came by last. An owner is noted before it asks,
  // so it may turn out to hold nothing.
  void note_lock_owner(uint64_t owner, Handle handle);
  bool forget_lock_owner(uint64_t owner);  // whether it was noted
  std::vector<uint64_t> forget_lock_owners_of(Handle handle);

 private:
  friend class HandleTable;
  const Ino ino_;
  mutable std::mutex mutex_;
  Attr attr_;
  std::map<uint64_t, Handle> lock_owners_;
  size_t handles_ = 0;  // under the table's shard lock
};

struct OpenHandle {
  Handle id = 0;
  Ino ino = 0;
  int flags = 0;                           // open(2)'s
  std::shared_ptr<OpenInode> inode;        // files and directories
  std::unique_ptr<DirStream> listing;      // directories
  std::unique_ptr<InternalFile> internal;  // internal files

  // The session of this client under which the handle first got a lock; 0: never.
  std::atomic<uint64_t> locked_under = 0;
  // The answer of its open makes the kernel drop its pages, and nothing tells yet that the caller has it.
  std::atomic<bool> drops_pages = false;

  bool readable() const;
  bool writable() const;
};

class HandleTable {
 public:
  // Each answers the new handle; the inode counts as open until remove().
  std::shared_ptr<OpenHandle> add_file(Ino ino, const Attr& attr, int flags);
  std::shared_ptr<OpenHandle> add_directory(Ino ino, const Attr& attr, std::unique_ptr<DirStream> listing);
  std::shared_ptr<OpenHandle> add_internal(Ino ino, int flags, std::unique_ptr<InternalFile> file);

  // EBADF if there is no such handle of this inode.
  Result<std::shared_ptr<OpenHandle>> find(Handle handle, Ino ino) const;
  // Null if it isn't there. Who still holds the pointer may go on using it.
  std::shared_ptr<OpenHandle> remove(Handle handle, Ino ino);

  // Removes the handles of all internal files, which ends what they have set going.
  void close_internal();

  std::shared_ptr<OpenInode> inode(Ino ino) const;  // null if it isn't open
  size_t size() const { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kShards = 64;
  struct HandleShard {
    std::mutex mutex;
    std::unordered_map<Handle, std::shared_ptr<OpenHandle>> handles;
  };
  struct InodeShard {
    std::mutex mutex;
    std::unordered_map<Ino, std::shared_ptr<OpenInode>> inodes;
  };

  std::shared_ptr<OpenHandle> add(std::shared_ptr<OpenHandle> handle, const Attr* attr);
  HandleShard& shard(Handle handle) const { return handles_[handle % kShards]; }
  InodeShard& inode_shard(Ino ino) const { return inodes_[ino % kShards]; }

  std::atomic<Handle> next_{1};
  std::atomic<size_t> count_{0};
  mutable std::array<HandleShard, kShards> handles_;
  mutable std::array<InodeShard, kShards> inodes_;
};

}  // namespace cider::vfs
