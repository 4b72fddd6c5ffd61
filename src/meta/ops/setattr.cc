// setattr: mode, owner, times; and the inode flags. Size is truncate's.
//
// Reads:  the inode (all that decides: type, mode, owner, flags, ACL ids, parent). One flight, or none with
// hints. Checks: flags, ownership (where the kernel has not), the ACL that follows the mode. Writes: the
// fields that change, ctime. One commit.
#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

bool changes_owner(const AttrChange& c) {
  return c.uid || c.gid;
}
bool sets_times(const AttrChange& c) {
  return c.atime || c.mtime;
}
bool touches_times(const AttrChange& c) {
  return c.atime_now || c.mtime_now;
}

Status check_flags(const OpEnv& env, Ino ino, const Attr& attr, const AttrChange& change) {
  if ((attr.flags & kFlagImmutable) &&
      (change.mode || changes_owner(change) || sets_times(change) || touches_times(change))) {
    return fail(EPERM);
  }
  if ((attr.flags & kFlagAppend) && (change.mode || changes_owner(change) || sets_times(change)))
    return fail(EPERM);
  return check_not_trashed(env, ino, attr);
}

Status check_owner(OpEnv& env, const Attr& attr, const AttrChange& change) {
  const Caller& caller = env.caller;
  if (!caller.check_permission || caller.is_root()) return {};
  bool owner = caller.uid == attr.uid;
  if (change.uid && *change.uid != attr.uid) return fail(EPERM);
  if (change.gid && *change.gid != attr.gid && !(owner && caller.in_group(*change.gid))) return fail(EPERM);
  if ((change.mode || sets_times(change) || changes_owner(change)) && !owner) return fail(EPERM);
  if (touches_times(change) && !owner) TRY(check_access(env, attr, kWrite));
  return {};
}

Status apply_mode_change(OpEnv& env, const AttrChange& change, Attr* attr) {
  if (!change.mode) return {};
  uint16_t mode = *change.mode & 07777;
  const Caller& caller = env.caller;
  if (caller.check_permission && !caller.is_root() && !caller.in_group(attr->gid)) mode &= ~02000;
  if (attr->access_acl != 0) {
    AclRule rule = TRY(env.acl_rule(attr->access_acl));
    apply_mode(&rule, mode);
    attr->access_acl = TRY(env.acl_id(rule));
    mode = (mode & 07000) | rule.mode();
  }
  attr->mode = mode;
  return {};
}

void apply_times(const OpEnv& env, const AttrChange& change, Attr* attr) {
  if (change.atime) attr->atime = *change.atime;
  if (change.mtime) attr->mtime = *change.mtime;
  if (change.atime_now) attr->atime = env.now;
  if (change.mtime_now) attr->mtime = env.now;
}

Result<Attr> setattr_op(Transaction& tx, OpEnv& env, Ino ino, const AttrChange& change) {
  auto& inode = tx.attr(ino, field::access | field::atime | field::mtime, field::all);
  XattrRead* capability = changes_owner(change) ? ask_capability(tx, env, ino) : nullptr;
  TRY(tx.fetch());
  if (!inode.value) return fail(ENOENT);
  const Attr before = *inode.value;
  TRY(check_flags(env, ino, before, change));
  TRY(check_owner(env, before, change));

  Attr after = before;
  if (change.uid) after.uid = *change.uid;
  if (change.gid) after.gid = *change.gid;
  bool chowned = changes_owner(change) && !before.is_dir();
  if (chowned || (change.kill_suidgid && !before.is_dir())) after.mode = without_suidgid(after.mode);
  TRY(apply_mode_change(env, change, &after));
  apply_times(env, change, &after);
  after.ctime = change.ctime ? *change.ctime : env.now;

  PatchNode patch{ino};
  patch.set = field::mode | field::uid | field::gid | field::acl | field::atime | field::mtime;
  for (Fields one = 1; one <= field::ctime; one <<= 1) {
    if ((patch.set & one) && same_fields(before, after, one)) patch.set &= ~one;
  }
  patch.values = after;
  if (patch.set == 0 && !changes_owner(change) && !change.mode && !sets_times(change) &&
      !touches_times(change) && !change.ctime) {
    return before;
  }
  patch.touch_ctime = after.ctime;
  tx.write(std::move(patch));
  if (!before.is_dir()) drop_capability(tx, capability);
  return after;
}

}  // namespace

Result<Attr> Meta::setattr(const Caller& caller, Ino ino, const AttrChange& change) {
  const OpTimer<"SetAttr"> timer;
  TRY(check_writable());
  Attr after;
  TRY(run(caller, [&](Transaction& tx, OpEnv& env) -> Status {
    after = TRY(setattr_op(tx, env, ino, change));
    return {};
  }));
  return after;
}

Result<Attr> Meta::set_flags(const Caller& caller, Ino ino, uint8_t flags) {
  TRY(check_writable());
  constexpr uint8_t kSettable = kFlagImmutable | kFlagAppend | kFlagSkipTrash;
  if (flags & ~kSettable) return fail(EOPNOTSUPP);
  if (!caller.is_root()) return fail(EPERM);
  Attr after;
  TRY(run(caller, [&](Transaction& tx, OpEnv& env) -> Status {
    auto& inode = tx.attr(ino, field::flags | field::parent);
    TRY(tx.fetch());
    if (!inode.value) return fail(ENOENT);
    if (inode.value->parent > kTrashIno) return fail(EPERM);
    after = *inode.value;
    after.flags = (after.flags & ~kSettable) | flags;
    after.ctime = env.now;
    PatchNode patch{ino};
    patch.set = field::flags;
    patch.values = after;
    patch.touch_ctime = env.now;
    tx.write(std::move(patch));
    return {};
  }));
  return after;
}

}  // namespace cider::meta
