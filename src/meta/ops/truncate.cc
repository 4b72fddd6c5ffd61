// truncate: sets a file's length. What lies between the old and the new end becomes a hole.
//
// Reads:  the inode. One flight, or none with hints.
// Writes: length, times, hole records in the chunks between, usage, statistics. One commit; for files with
//         very many chunks several, each of which goes part of the way.
#include <algorithm>

#include "meta/ops/env.h"
#include "meta/ops/holes.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr Fields kTruncatedFields = field::access | field::length | field::nlink;

Result<Attr> truncate_op(Transaction& tx, OpEnv& env, Ino ino, uint64_t length, bool by_handle,
                         bool kill_suidgid) {
  auto& inode = tx.attr(ino, kTruncatedFields, field::all);
  XattrRead* capability = ask_capability(tx, env, ino);
  TRY(tx.fetch());
  if (!inode.value) return fail(ENOENT);
  Attr after = *inode.value;
  if (!after.is_file()) return fail(after.is_dir() ? EISDIR : EINVAL);
  TRY(check_changeable(after));
  TRY(check_not_trashed(env, ino, after));
  if (!by_handle) TRY(check_access(env, after, kWrite));
  uint64_t old_length = after.length;
  int64_t growth = static_cast<int64_t>(align4k(length)) - static_cast<int64_t>(align4k(old_length));
  TRY(check_room(tx, env, growth, 0));
  TRY(add_growth(tx, env, ino, after, length));
  if (length < old_length) append_holes(tx, ino, length, old_length);
  if (length > old_length) append_holes_beyond_end(tx, ino, old_length, length);
  if (chunk_count(length) < chunk_count(old_length)) tx.write(LeaveChunks{ino, chunk_count(old_length)});

  PatchNode patch{ino};
  patch.set = field::length;
  after.length = length;
  after.mtime = after.ctime = env.now;
  uint16_t mode = kill_suidgid ? without_suidgid(after.mode) : after.mode;
  if (mode != after.mode) {
    after.mode = mode;
    patch.set |= field::mode;
  }
  patch.values = after;
  patch.touch = env.now;
  tx.write(std::move(patch));
  drop_capability(tx, capability);
  return after;
}

}  // namespace

Result<Attr> Meta::truncate(const Caller& caller, Ino ino, uint64_t length, bool by_handle,
                            bool kill_suidgid) {
  const OpTimer<"Truncate"> timer;
  TRY(check_writable());
  if (length > kMaxFileLength) return fail(EFBIG);
  for (uint64_t step = length;;) {
    Attr after;
    Status done = run(caller, [&](Transaction& tx, OpEnv& env) -> Status {
      after = TRY(truncate_op(tx, env, ino, step, by_handle, kill_suidgid));
      return {};
    });
    if (done && step == length) return after;
    if (done) {
      step = length;
    } else if (done.error().code == kTooManyChunks) {
      step = halfway(TRY(getattr(ino)).length, step);
    } else {
      return fail(std::move(done).error());
    }
  }
}

}  // namespace cider::meta
