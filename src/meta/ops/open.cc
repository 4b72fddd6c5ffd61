// open, close, and the end of files that were unlinked while open.
//
// open registers the handle before it reads the inode (see OpenFiles); it has no commit. The end of an
// unlinked file: Reads:  the inode (nlink, length ...), who else keeps it. Writes: sustained record, inode,
// deleted-file record, usage.
#include <fcntl.h>

#include <algorithm>

#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

Status check_open(OpEnv& env, const Attr& attr, int flags) {
  int mode = flags & O_ACCMODE;
  int want = mode == O_RDONLY ? kRead : mode == O_WRONLY ? kWrite : kRead | kWrite;
  constexpr int kOpenedForExec = 0x20;  // the kernel's FMODE_EXEC
  if (mode == O_RDONLY && (flags & kOpenedForExec)) want = kExecute;
  if (flags & O_TRUNC) want |= kWrite;
  TRY(check_access(env, attr, want));
  bool writes = mode != O_RDONLY;
  if (writes && ((attr.flags & kFlagImmutable) || attr.parent > kTrashIno)) return fail(EPERM);
  if (attr.flags & kFlagAppend) {
    if (writes && !(flags & O_APPEND)) return fail(EPERM);
    if (flags & O_TRUNC) return fail(EPERM);
  }
  return {};
}

}  // namespace

Result<Attr> Meta::open(const Caller& caller, Ino ino, int flags) {
  const OpTimer<"Open"> timer;
  bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
  if (writes) TRY(check_writable());
  open_files_.open(ino);
  Attr attr;
  Status opened = [&]() -> Status {
    attr = TRY(getattr(ino, caller.interrupt));
    bool checks = caller.check_permission || attr.flags != 0 || attr.parent > kTrashIno;
    if (!checks) return {};
    return evaluate(caller, [&](OpEnv& env) { return check_open(env, attr, flags); });
  }();
  if (!opened) {
    close(ino);
    return fail(std::move(opened).error());
  }
  return attr;
}

void Meta::close(Ino ino) {
  if (!open_files_.close(ino)) return;
  // Best effort: what fails here is done when the session ends.
  (void)delete_sustained(session_id(), ino, Keeper::closed);
}

Status Meta::delete_sustained(uint64_t sid, Ino ino, Keeper keeper) {
  bool deleted = false;
  bool reopened = false;
  uint64_t length = 0;
  TRY(run(Caller{}, [&](Transaction& tx, OpEnv& env) -> Status {
    deleted = false;
    reopened = keeper == Keeper::closed && env.removal.sample_open(ino);
    if (reopened) return {};
    auto& inode = tx.attr(ino, field::nlink | field::length | field::type);
    auto& keepers = tx.ask(SustainedRead{ino, {}});
    const SessionRead* session = keeper == Keeper::dead ? &tx.ask(SessionRead{sid, true, {}}) : nullptr;
    TRY(tx.fetch());
    if (session && session->expire && *session->expire >= env.now.sec) return {};  // it has come back to life
    bool kept = std::find(keepers.sids.begin(), keepers.sids.end(), sid) != keepers.sids.end();
    if (!kept) return {};
    tx.write(DeleteSustained{sid, ino});
    // A file that has got a name (O_TMPFILE and link), or that another session keeps, lives on.
    if (!inode.value || inode.value->nlink > 0 || keepers.sids.size() > 1) return {};
    length = inode.value->length;
    tx.write(DeleteNode{ino});
    tx.write(PutDeletedFile{ino, length, env.now.sec});
    tx.write(AddUsage{-static_cast<int64_t>(space_of(*inode.value)), -1});
    deleted = true;
    return {};
  }));
  if (deleted) file_deleted(ino, length);
  // Opened again by its number meanwhile: the next close sees to it, or we do if that has come already.
  if (reopened && !open_files_.set_unlinked(ino)) return delete_sustained(sid, ino, keeper);
  return {};
}

}  // namespace cider::meta
