// Requests about fcntl locks and flock.
#include <fcntl.h>

#include "fuse/handlers.h"

namespace cider::fuse {
namespace {

std::optional<vfs::LockType> lock_type(uint32_t type) {
  switch (type) {
    case F_RDLCK:
      return vfs::LockType::read;
    case F_WRLCK:
      return vfs::LockType::write;
    case F_UNLCK:
      return vfs::LockType::unlock;
    default:
      return std::nullopt;
  }
}

uint32_t encode_type(vfs::LockType type) {
  switch (type) {
    case vfs::LockType::read:
      return F_RDLCK;
    case vfs::LockType::write:
      return F_WRLCK;
    case vfs::LockType::unlock:
      break;
  }
  return F_UNLCK;
}

std::optional<vfs::FileLock> decode_lock(const fuse_file_lock& lock) {
  std::optional<vfs::LockType> type = lock_type(lock.type);
  if (!type || lock.start > lock.end) return std::nullopt;
  return vfs::FileLock{.type = *type, .start = lock.start, .end = lock.end, .pid = lock.pid};
}

}  // namespace

void on_getlk(Call& call) {
  auto in = call.args.get<fuse_lk_in>();
  if (!call.args.ok()) return call.malformed();
  std::optional<vfs::FileLock> wanted = decode_lock(in.lk);
  if (!wanted) {
    call.reply.error(EINVAL);
    return;
  }
  Result<vfs::FileLock> found = call.fs.getlk(call.caller, call.ino(), in.fh, in.owner, *wanted);
  if (!found) return call.answer_error(found);
  fuse_lk_out out{};
  out.lk = {.start = found->start, .end = found->end, .type = encode_type(found->type), .pid = found->pid};
  call.reply.value(out);
}

void on_setlk(Call& call, std::unique_ptr<Pending> pending) {
  auto in = call.args.get<fuse_lk_in>();
  if (!call.args.ok()) return call.malformed();
  std::optional<vfs::FileLock> lock = decode_lock(in.lk);
  if (!lock) {
    call.reply.error(EINVAL);
    return;
  }
  bool wait = call.request.header().opcode == FUSE_SETLKW;
  if (lock->type == vfs::LockType::unlock)
    call.caller.interrupt = {};  // nothing to wait for, and it must not fail
  auto done = [pending = std::move(pending)](const Status& status) { pending->reply.error(code_of(status)); };
  if (in.lk_flags & FUSE_LK_FLOCK) {
    call.fs.flock(call.caller, call.ino(), in.fh, in.owner, lock->type, wait, std::move(done));
  } else {
    call.fs.setlk(call.caller, call.ino(), in.fh, in.owner, *lock, wait, std::move(done));
  }
}

}  // namespace cider::fuse
