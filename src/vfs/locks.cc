// flock and fcntl locks. Their tables are in the engine (meta/); here is what locking means for cached data:
// who lets a lock go has its data committed before. Who gets one must see what others wrote: the front end
// makes the kernel forget the file's attributes with the answer, the GETATTR that follows learns of foreign
// changes (attributes.cc).
#include "base/log.h"
#include "vfs/volume_file_system.h"

namespace cider::vfs {
namespace {

meta::LockKind kind_of(LockType type) {
  switch (type) {
    case LockType::read:
      return meta::LockKind::read;
    case LockType::write:
      return meta::LockKind::write;
    case LockType::unlock:
      break;
  }
  return meta::LockKind::unlock;
}

LockType type_of(meta::LockKind kind) {
  switch (kind) {
    case meta::LockKind::read:
      return LockType::read;
    case meta::LockKind::write:
      return LockType::write;
    case meta::LockKind::unlock:
      break;
  }
  return LockType::unlock;
}

meta::PlockRange range_of(const FileLock& lock) {
  return {kind_of(lock.type), lock.pid, lock.start, lock.end};
}

}  // namespace

Result<FileLock> VolumeFileSystem::getlk(const Caller&, Ino ino, Handle handle, uint64_t owner,
                                         const FileLock& lock) {
  if (is_internal(ino)) return fail(EBADF);
  TRY(find_file(handle, ino));
  const meta::PlockRange found = TRY(meta_.getlk(ino, owner, range_of(lock)));
  return FileLock{.type = type_of(found.kind), .start = found.start, .end = found.end, .pid = found.pid};
}

void VolumeFileSystem::setlk(const Caller& caller, Ino ino, Handle handle, uint64_t owner,
                             const FileLock& lock, bool wait, Completion<void> done) {
  if (is_internal(ino)) return done(fail(EBADF));
  const auto file = find_file(handle, ino);
  if (!file) return done(fail(file.error()));
  if (lock.type == LockType::unlock) {
    flush_before_unlock(caller, ino);
    return meta_.setlk(caller, ino, owner, range_of(lock), false, std::move(done));
  }
  if (Status kept = check_locks(**file); !kept) return done(std::move(kept));
  (*file)->inode->note_lock_owner(owner, handle);
  meta_.setlk(caller, ino, owner, range_of(lock), wait, noting_lock(*file, std::move(done)));
}

void VolumeFileSystem::flock(const Caller& caller, Ino ino, Handle handle, uint64_t owner, LockType type,
                             bool wait, Completion<void> done) {
  if (is_internal(ino)) return done(fail(EBADF));
  const auto file = handles_.find(handle, inner(ino));
  if (!file) return done(fail(file.error()));
  if (type == LockType::unlock) {
    flush_before_unlock(caller, ino);
    return meta_.flock(caller, inner(ino), owner, meta::LockKind::unlock, false, std::move(done));
  }
  if (Status kept = check_locks(**file); !kept) return done(std::move(kept));
  meta_.flock(caller, inner(ino), owner, kind_of(type), wait, noting_lock(*file, std::move(done)));
}

Status VolumeFileSystem::check_locks(const OpenHandle& handle) const {
  const uint64_t session = handle.locked_under.load(std::memory_order_relaxed);
  if (session == 0 || session == meta_.session_id() || !meta_.has_lost_locks(handle.ino)) return {};
  return fail(EIO, "the file's locks were lost");
}

Completion<void> VolumeFileSystem::noting_lock(std::shared_ptr<OpenHandle> handle, Completion<void> done) {
  return
      [handle = std::move(handle), session = meta_.session_id(), done = std::move(done)](Status got) mutable {
        uint64_t never = 0;
        if (got) handle->locked_under.compare_exchange_strong(never, session);
        done(std::move(got));
      };
}

// An error does not keep the lock: the data is kept and its next fsync or close tells.
void VolumeFileSystem::flush_before_unlock(const Caller& caller, Ino ino) {
  if (!data_.has_pending(ino)) return;
  const Status flushed = data_.flush(ino, caller.interrupt);
  if (!flushed)
    log::warning("inode " + std::to_string(ino) + " before unlock: " + flushed.error().to_string());
}

}  // namespace cider::vfs
