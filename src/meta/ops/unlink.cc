// unlink: a name of anything but a directory goes.
//
// Reads:  the parent, the entry with the inode it points to (nlink, owner, flags, parent, type, length), the
// trash folder; for an
//         inode with more links also the trash entry of this name. One flight, or none with hints.
// Checks: the directory lets entries go; the name is no directory; sticky bit; the inode's flags.
// Writes: the entry (by parent, name and inode), the parent's times, and what lose_name() says. One commit.
#include "meta/ops/lost_name.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

Result<Aftermath> unlink_op(Transaction& tx, OpEnv& env, Ino parent, std::string_view name, Ino trash) {
  auto& dir = tx.attr(parent, field::access);
  auto& victim = tx.lookup(parent, name, kVictimFields);
  AttrRead* folder = ask_trash(tx, trash);
  TRY(tx.fetch());
  TRY(check_search(env, dir.value));
  if (!victim.value) return fail(ENOENT);
  TRY(check_dir(env, *dir.value, DirUse::remove));
  if (victim.attr) {
    TRY(check_sticky(env, *dir.value, *victim.attr));
    TRY(check_changeable(*victim.attr));
  }
  if (victim.value->type == FileType::directory) return fail(EISDIR);
  TRY(check_trash(folder));
  LostName lost{parent, name, *victim.value, victim.attr};
  Aftermath after = TRY(lose_name(tx, env, lost, trash));
  tx.write(DeleteEntry{parent, std::string(name), *victim.value});
  touch_dir(tx, env, parent, *dir.value, 0);
  if (victim.attr) add_dir_stat(tx, env, parent, *victim.attr, -1);
  return after;
}

}  // namespace

Result<Ino> Meta::unlink(const Caller& caller, Ino parent, std::string_view name, bool skip_trash,
                         ChangedDirs* dirs) {
  const OpTimer<"Unlink"> timer;
  TRY(check_writable());
  TRY(check_name(name));
  if ((parent == kRootIno && name == ".trash") || (is_trash(parent) && !caller.is_root())) return fail(EPERM);
  Aftermath after;
  TRY(run(
      caller,
      [&](Transaction& tx, OpEnv& env) -> Status {
        Ino trash = skip_trash ? 0 : env.trash(parent);
        after = TRY(unlink_op(tx, env, parent, name, trash));
        return {};
      },
      skip_trash || is_trash(parent) ? Trash::unused : Trash::needed, dirs));
  settle(after);
  return after.ino;
}

}  // namespace cider::meta
