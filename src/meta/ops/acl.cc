// POSIX ACLs. A rule is interned under an id in a commit of its own before an inode refers to it.
//
// Reads:  the inode (type, mode, owner, flags, ACL ids). Writes: an ACL id, the mode that follows it, ctime.
// One commit, and one
//         more for a rule that no file of the volume had yet.
#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

uint32_t& acl_of(Attr* attr, AclKind kind) {
  return kind == AclKind::access ? attr->access_acl : attr->default_acl;
}

// Named entries need a mask; the kernel sends one, other callers may not.
AclRule complete(AclRule rule, uint16_t mode) {
  if (rule.owner == kAclUnset) rule.owner = (mode >> 6) & 7;
  if (rule.group == kAclUnset) rule.group = (mode >> 3) & 7;
  if (rule.other == kAclUnset) rule.other = mode & 7;
  if (rule.mask == kAclUnset && !(rule.users.empty() && rule.groups.empty())) rule.mask = (mode >> 3) & 7;
  return rule;
}

Status set_acl_op(Transaction& tx, OpEnv& env, Ino ino, AclKind kind, const AclRule& rule, bool kill_sgid) {
  auto& inode = tx.attr(ino, field::access);
  TRY(tx.fetch());
  if (!inode.value) return fail(ENOENT);
  const Attr before = *inode.value;
  const Caller& caller = env.caller;
  if (before.is_symlink()) return fail(EOPNOTSUPP);
  if (kind == AclKind::default_ && !before.is_dir()) return rule.empty() ? Status{} : Status(fail(EACCES));
  TRY(check_changeable(before));
  if (caller.check_permission && !caller.is_root() && caller.uid != before.uid) return fail(EPERM);

  Attr after = before;
  bool outside_group = caller.check_permission && !caller.is_root() && !caller.in_group(before.gid);
  if (kind == AclKind::access && (kill_sgid || outside_group)) after.mode &= ~02000;
  if (rule.empty()) {
    acl_of(&after, kind) = 0;
  } else {
    AclRule full = complete(rule, before.mode);
    bool folds = kind == AclKind::access && full.minimal();
    acl_of(&after, kind) = folds ? 0 : TRY(env.acl_id(full));
    if (kind == AclKind::access) after.mode = (after.mode & 07000) | full.mode();
  }
  if (same_fields(before, after, field::mode | field::acl)) return {};
  PatchNode patch{ino};
  patch.set = field::mode | field::acl;
  patch.values = after;
  patch.touch_ctime = env.now;
  tx.write(std::move(patch));
  return {};
}

}  // namespace

Result<AclRule> Meta::get_acl(Ino ino, AclKind kind) {
  const OpTimer<"GetFacl"> timer;
  Attr attr = TRY(recent_attr(ino));
  uint32_t id = acl_of(&attr, kind);
  if (id == 0) return fail(ENODATA);
  AclRule rule;
  TRY(evaluate(Caller{}, [&](OpEnv& env) -> Status {
    rule = TRY(env.acl_rule(id));
    return {};
  }));
  return rule;
}

Status Meta::set_acl(const Caller& caller, Ino ino, AclKind kind, const AclRule& rule, bool kill_sgid) {
  const OpTimer<"SetFacl"> timer;
  TRY(check_writable());
  if (!volume()->enable_acl) return fail(EOPNOTSUPP);
  return run(caller,
             [&](Transaction& tx, OpEnv& env) { return set_acl_op(tx, env, ino, kind, rule, kill_sgid); });
}

}  // namespace cider::meta
