#include "meta/ops/env.h"

namespace cider::meta {

Result<AclRule> OpEnv::acl_rule(uint32_t id) {
  if (auto rule = acls.rule(id)) return *std::move(rule);
  wanted_acl = id;
  return fail(kWantAcl);
}

Result<uint32_t> OpEnv::acl_id(const AclRule& rule) {
  if (auto id = acls.id(rule)) return *id;
  wanted_rule = rule;
  return fail(kWantAcl);
}

Status check_access(OpEnv& env, const Attr& attr, int want) {
  const Caller& caller = env.caller;
  if (!caller.check_permission || caller.is_root()) return {};
  int have;
  // A mask of 0 in the mode's group bits switches the ACL off, as in Linux.
  if (attr.access_acl != 0 && (attr.mode & 070) != 0) {
    AclRule rule = TRY(env.acl_rule(attr.access_acl));
    if (acl_permits(rule, attr.uid, attr.gid, caller.uid, caller.gid, caller.groups, want)) return {};
    return fail(EACCES);
  }
  if (caller.uid == attr.uid) {
    have = attr.mode >> 6;
  } else if (caller.in_group(attr.gid)) {
    have = attr.mode >> 3;
  } else {
    have = attr.mode;
  }
  if ((have & want) != want) return fail(EACCES);
  return {};
}

Status check_search(OpEnv& env, const std::optional<Attr>& dir) {
  if (!dir) return fail(ENOENT);
  if (!dir->is_dir()) return fail(ENOTDIR);
  return check_access(env, *dir, kExecute);
}

Status check_dir(OpEnv& env, const Attr& dir, DirUse use) {
  if (use == DirUse::add && dir.parent > kTrashIno) return fail(ENOENT);
  if (dir.flags & kFlagImmutable) return fail(EPERM);
  TRY(check_access(env, dir, kWrite | kExecute));
  if (use == DirUse::remove && (dir.flags & kFlagAppend)) return fail(EPERM);
  return {};
}

Status check_sticky(const OpEnv& env, const Attr& dir, const Attr& victim) {
  const Caller& caller = env.caller;
  if (!caller.check_permission || caller.is_root() || !(dir.mode & 01000)) return {};
  if (caller.uid == dir.uid || caller.uid == victim.uid) return {};
  return fail(EPERM);
}

Status check_changeable(const Attr& attr) {
  if (attr.flags & (kFlagImmutable | kFlagAppend)) return fail(EPERM);
  return {};
}

Status check_not_trashed(const OpEnv& env, Ino ino, const Attr& attr) {
  if (attr.parent > kTrashIno && !env.open_files.is_open(ino)) return fail(EPERM);
  return {};
}

Status check_room(Transaction& tx, const OpEnv& env, int64_t space, int64_t inodes) {
  bool asks_space = space > 0 && env.volume.capacity > 0;
  bool asks_inodes = inodes > 0 && env.volume.inodes > 0;
  if (!asks_space && !asks_inodes) return {};
  auto& usage = tx.ask(UsageRead{});
  TRY(tx.fetch());
  if (asks_space && usage.space + space > static_cast<int64_t>(env.volume.capacity)) return fail(ENOSPC);
  if (asks_inodes && usage.inodes + inodes > static_cast<int64_t>(env.volume.inodes)) return fail(ENOSPC);
  return {};
}

SessionRead* ask_own_session(Transaction& tx, const OpEnv& env) {
  return env.sid == 0 ? nullptr : &tx.ask(SessionRead{env.sid, false, {}});
}

Status check_own_session(const SessionRead* session) {
  if (session && !session->expire) return fail(kSessionGone);
  return {};
}

void add_dir_stat(Transaction& tx, const OpEnv& env, Ino dir, int64_t length, int64_t space, int64_t inodes) {
  if (!env.volume.dir_stats || (length == 0 && space == 0 && inodes == 0)) return;
  tx.write(AddDirStat{dir, DirStat{length, space, inodes}});
}

void add_dir_stat(Transaction& tx, const OpEnv& env, Ino dir, const Attr& attr, int sign) {
  int64_t length = attr.is_file() ? static_cast<int64_t>(attr.length) : 0;
  add_dir_stat(tx, env, dir, sign * length, sign * static_cast<int64_t>(space_of(attr)), sign);
}

Status gather_growth(Transaction& tx, const OpEnv& env, Ino ino, const Attr& before, uint64_t new_length,
                     Growth* growth) {
  int64_t length = static_cast<int64_t>(new_length - before.length);
  int64_t space = static_cast<int64_t>(align4k(new_length)) - static_cast<int64_t>(align4k(before.length));
  if (length == 0) return {};
  growth->space += space;
  if (!env.volume.dir_stats) return {};
  if (before.nlink == 0) return {};  // no directory holds it any more
  const auto add = [&](Ino dir, int64_t count) {
    growth->dirs[dir].length += length * count;
    growth->dirs[dir].space += space * count;
  };
  if (before.parent != 0) {
    add(before.parent, 1);
    return {};
  }
  auto& holders = tx.ask(ParentsRead{ino, {}});
  TRY(tx.fetch());
  for (const auto& [dir, count] : holders.parents) add(dir, count);
  return {};
}

void add_growth(Transaction& tx, const OpEnv& env, const Growth& growth) {
  if (growth.space != 0) tx.write(AddUsage{growth.space, 0});
  for (const auto& [dir, stat] : growth.dirs) add_dir_stat(tx, env, dir, stat.length, stat.space, 0);
}

Status add_growth(Transaction& tx, const OpEnv& env, Ino ino, const Attr& before, uint64_t new_length) {
  Growth growth;
  TRY(gather_growth(tx, env, ino, before, new_length, &growth));
  add_growth(tx, env, growth);
  return {};
}

void touch_dir(Transaction& tx, const OpEnv& env, Ino dir, const Attr& attr, int nlink_delta) {
  if (is_trash(dir)) return;
  // A time in the future, set by utimes, is not recent: it would stay for good.
  int64_t age = to_nanos(env.now) - to_nanos(attr.mtime);
  bool recent = age >= 0 && age < std::chrono::nanoseconds(env.options.skip_dir_mtime).count();
  if (recent && nlink_delta == 0) return;
  PatchNode patch{dir};
  patch.nlink_delta = nlink_delta;
  patch.touch = env.now;
  if (env.dirs) patch.after = &env.dirs->add(dir).attr;
  tx.write(std::move(patch));
}

XattrRead* ask_capability(Transaction& tx, const OpEnv& env, Ino ino) {
  return env.options.file_capabilities ? &tx.ask(XattrRead{ino, std::string(kCapability), {}}) : nullptr;
}

void drop_capability(Transaction& tx, const XattrRead* capability) {
  if (capability && capability->value) tx.write(RemoveXattr{capability->ino, capability->name});
}

uint16_t without_suidgid(uint16_t mode) {
  mode &= ~04000;
  if (mode & 010) mode &= ~02000;
  return mode;
}

}  // namespace cider::meta
