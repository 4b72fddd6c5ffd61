// The inputs of an operation that are not in the engine, sampled anew for each attempt, and the checks that
// operations share.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "base/caller.h"
#include "base/result.h"
#include "meta/acl_cache.h"
#include "meta/meta.h"
#include "meta/open_files.h"
#include "meta/store/transaction.h"

namespace cider::meta {

struct OpEnv {
  const Caller& caller;
  const MetaOptions& options;
  const Volume& volume;
  const AclCache& acls;
  const OpenFiles& open_files;
  OpenFiles::Removal& removal;
  ChangedDirs* dirs;  // null: nobody wants them
  Time now;
  uint64_t sid = 0;
  Ino trash_folder = 0;             // this hour's; 0 where nothing goes to the trash
  size_t records_per_commit = 500;  // see Store

  // Where a name that is removed from `parent` goes; 0: nowhere.
  Ino trash(Ino parent) const { return is_trash(parent) ? 0 : trash_folder; }

  // An ACL rule or id that the cache lacks. An operation that needs it says so and fails; it is run again
  // with it.
  std::optional<uint32_t> wanted_acl;
  std::optional<AclRule> wanted_rule;

  Result<AclRule> acl_rule(uint32_t id);
  Result<uint32_t> acl_id(const AclRule& rule);
};

// Codes by which an operation asks Meta::run to be run again with another input. They never leave meta/.
inline constexpr int kWantAcl = -1;
inline constexpr int kStaleTrash = -2;
inline constexpr int kSessionGone = -3;  // or overdue

// rwx bits of access(2).
inline constexpr int kRead = 4;
inline constexpr int kWrite = 2;
inline constexpr int kExecute = 1;

// EACCES unless the caller may; nothing is asked where the kernel has checked.
Status check_access(OpEnv& env, const Attr& attr, int want);

// What a lookup demands of a directory: it is there and a directory, and the caller may search it. As in
// Linux it comes before ENOENT and EEXIST of the name, and check_dir() after them.
Status check_search(OpEnv& env, const std::optional<Attr>& dir);
// What adding to or removing from a directory demands: it is not in the trash (ENOENT), not immutable,
// writable to the caller; for removals not append-only either.
enum class DirUse { add, remove };
Status check_dir(OpEnv& env, const Attr& dir, DirUse use);
// The sticky bit: EPERM unless the caller owns the directory or what is in it.
Status check_sticky(const OpEnv& env, const Attr& dir, const Attr& victim);
// EPERM for immutable or append-only inodes.
Status check_changeable(const Attr& attr);
// EPERM for what is in the trash, unless it is open here: a file that was unlinked while open stays as it was
// to its users.
Status check_not_trashed(const OpEnv& env, Ino ino, const Attr& attr);

// ENOSPC where the volume's limits leave no room for so much more. Fetches the usage where there are limits.
Status check_room(Transaction& tx, const OpEnv& env, int64_t space, int64_t inodes);

// Whether our session is still registered, as a predicate of the commit: what a dead session holds (locks,
// files without a name) is cleaned up by others and must not grow. Null without a session. check:
// kSessionGone where it was cleaned up; the operation is run again under a new session.
SessionRead* ask_own_session(Transaction& tx, const OpEnv& env);
Status check_own_session(const SessionRead* session);

void add_dir_stat(Transaction& tx, const OpEnv& env, Ino dir, int64_t length, int64_t space, int64_t inodes);
// `sign` +1 or -1: what `attr` adds to the statistics of a directory that holds it.
void add_dir_stat(Transaction& tx, const OpEnv& env, Ino dir, const Attr& attr, int sign);
// The statistics of every directory that holds the file: it grew or shrank. Fetches the parent map of files
// with several links.
Status add_growth(Transaction& tx, const OpEnv& env, Ino ino, const Attr& before, uint64_t new_length);
// The same for several files of one commit: gathered, then written as one.
struct Growth {
  int64_t space = 0;
  std::map<Ino, DirStat> dirs;
};
Status gather_growth(Transaction& tx, const OpEnv& env, Ino ino, const Attr& before, uint64_t new_length,
                     Growth* growth);
void add_growth(Transaction& tx, const OpEnv& env, const Growth& growth);

// Moves the times of a directory whose entries changed, and its nlink.
void touch_dir(Transaction& tx, const OpEnv& env, Ino dir, const Attr& attr, int nlink_delta);

// File capabilities go with a change of the data or the owner, whoever makes it, as in Linux. Null where the
// mount has none (then nothing is asked).
inline constexpr std::string_view kCapability = "security.capability";
XattrRead* ask_capability(Transaction& tx, const OpEnv& env, Ino ino);
void drop_capability(Transaction& tx, const XattrRead* capability);

// Mode without suid, and without sgid where the group may execute.
uint16_t without_suidgid(uint16_t mode);

}  // namespace cider::meta
