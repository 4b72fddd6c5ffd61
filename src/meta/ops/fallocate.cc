// fallocate: plain, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE. Space isn't reserved: a file's use is counted by its
// length, so only a mode that makes it longer can meet the volume's limit.
//
// There is no fallocate by name, so permission was asked when the file was opened.
//
// Reads:  the inode. Writes: length, times, hole records, usage, statistics; suid and sgid go as with a
// write. One commit; for a range of very many chunks several, from its beginning on.
#include <linux/falloc.h>

#include <algorithm>
#include <utility>

#include "meta/ops/env.h"
#include "meta/ops/holes.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr Fields kFields = field::access | field::length | field::nlink;
constexpr int kZeroing = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

Status check_mode(int mode) {
  if (mode & ~(FALLOC_FL_KEEP_SIZE | kZeroing)) return fail(EOPNOTSUPP);
  if ((mode & kZeroing) == kZeroing) return fail(EINVAL);
  if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE)) return fail(EOPNOTSUPP);
  return {};
}

Result<Attr> fallocate_op(Transaction& tx, OpEnv& env, Ino ino, int mode, uint64_t off, uint64_t len) {
  auto& inode = tx.attr(ino, kFields, field::all);
  XattrRead* capability = ask_capability(tx, env, ino);
  TRY(tx.fetch());
  if (!inode.value) return fail(ENOENT);
  Attr after = *inode.value;
  if (after.type == FileType::fifo) return fail(ESPIPE);
  if (!after.is_file()) return fail(after.is_dir() ? EISDIR : ENODEV);
  if (after.flags & kFlagImmutable) return fail(EPERM);
  if ((after.flags & kFlagAppend) && (mode & ~FALLOC_FL_KEEP_SIZE)) return fail(EPERM);
  TRY(check_not_trashed(env, ino, after));

  uint64_t old_length = after.length;
  uint64_t length = (mode & FALLOC_FL_KEEP_SIZE) ? old_length : std::max(old_length, off + len);
  int64_t growth = static_cast<int64_t>(align4k(length)) - static_cast<int64_t>(align4k(old_length));
  TRY(check_room(tx, env, growth, 0));
  TRY(add_growth(tx, env, ino, after, length));
  if (mode & kZeroing) append_holes(tx, ino, off, std::min(off + len, old_length));

  PatchNode patch{ino};
  patch.set = field::length;
  after.length = length;
  after.mtime = after.ctime = env.now;
  // As a write does, for callers who may not keep them; the kernel doesn't ask for it here.
  if (!env.caller.is_root() && without_suidgid(after.mode) != after.mode) {
    after.mode = without_suidgid(after.mode);
    patch.set |= field::mode;
  }
  patch.values = after;
  patch.touch = env.now;
  tx.write(std::move(patch));
  drop_capability(tx, capability);
  return after;
}

}  // namespace

Result<Attr> Meta::fallocate(const Caller& caller, Ino ino, int mode, uint64_t off, uint64_t len) {
  const OpTimer<"Fallocate"> timer;
  TRY(check_writable());
  TRY(check_mode(mode));
  if (len == 0) return fail(EINVAL);
  uint64_t end;
  if (__builtin_add_overflow(off, len, &end) || end > kMaxFileLength) return fail(EFBIG);
  for (uint64_t to = end;;) {
    Attr after;
    Status done = run(caller, [&](Transaction& tx, OpEnv& env) -> Status {
      after = TRY(fallocate_op(tx, env, ino, mode, off, to - off));
      return {};
    });
    if (done && to == end) return after;
    if (done) {
      off = std::exchange(to, end);
    } else if (done.error().code == kTooManyChunks) {
      to = halfway(off, to);
    } else {
      return fail(std::move(done).error());
    }
  }
}

}  // namespace cider::meta
