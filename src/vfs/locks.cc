// flock and fcntl locks. Their tables are in the engine (meta/); here is what locking means for cached data:
// who lets a lock go has its data committed before; who gets one is told so when the kernel has dropped what
// it had cached of another version of the file.
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
  meta_.setlk(caller, ino, owner, range_of(lock), wait, noting_lock(caller, *file, std::move(done)));
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
  meta_.flock(caller, inner(ino), owner, kind_of(type), wait, noting_lock(caller, *file, std::move(done)));
}

Status VolumeFileSystem::check_locks(const OpenHandle& handle) const {
  const uint64_t session = handle.locked_under.load(std::memory_order_relaxed);
  if (session == 0 || session == meta_.session_id() || !meta_.has_lost_locks(handle.ino)) return {};
  return fail(EIO, "the file's locks were lost");
}

Completion<void> VolumeFileSystem::noting_lock(const Caller& caller, std::shared_ptr<OpenHandle> handle,
                                               Completion<void> done) {
  return [this, caller, handle = std::move(handle), session = meta_.session_id(),
          done = std::move(done)](Status got) mutable {
    if (!got) return done(std::move(got));
    uint64_t never = 0;
    handle->locked_under.compare_exchange_strong(never, session);
    after_lock(caller, handle->ino, [done = std::move(done)]() mutable { done({}); });
  };
}

// An answer that doesn't come keeps nobody from his lock: then nothing that is cached is trusted.
void VolumeFileSystem::after_lock(const Caller& caller, Ino ino, std::move_only_function<void()> then) {
  const uint64_t moment = changes_.now();
  const Result<Attr> attr = meta_.getattr(ino, caller.interrupt);
  if (!attr) {
    distrust(ino);
    return notify({.ino = outer(ino), .data = true, .then = std::move(then)});
  }
  take_in(ino, *attr, moment);
  const Pending pending = data_.pending(ino);
  const bool shows = kernel_.shows(ino, *attr);
  if (shows && kernel_.knows(ino, with_pending(*attr, pending, pending))) return then();
  if (!shows) data_.invalidate(ino);
  notify({.ino = outer(ino),
          .data = !shows,
          .then = [this, ino, shows, attr = *attr, then = std::move(then)]() mutable {
            if (!shows) kernel_.refreshed(ino, attr);
            then();
          }});
}

// An error does not keep the lock: the data is kept and its next fsync or close tells.
void VolumeFileSystem::flush_before_unlock(const Caller& caller, Ino ino) {
  if (!data_.has_pending(ino)) return;
  const Status flushed = data_.flush(ino, caller.interrupt);
  if (!flushed)
    log::warning("inode " + std::to_string(ino) + " before unlock: " + flushed.error().to_string());
}

}  // namespace cider::vfs
