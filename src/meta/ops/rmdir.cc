// rmdir: an empty directory goes.
//
// Reads:  the parent, the entry with its inode, whether the directory is empty (a predicate of the commit),
// the trash folder. Checks: as unlink, and that nothing is in it. Writes: the entry, the parent's nlink and
// times, and what lose_name() says; the directory's statistics. One commit.
#include "meta/ops/lost_name.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

Result<Aftermath> rmdir_op(Transaction& tx, OpEnv& env, Ino parent, std::string_view name, Ino trash) {
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
  if (victim.value->type != FileType::directory) return fail(ENOTDIR);
  TRY(check_trash(folder));
  auto& content = tx.ask(DirEmptyRead{victim.value->ino, false});
  TRY(tx.fetch());
  if (!content.empty) return fail(ENOTEMPTY);

  LostName lost{parent, name, *victim.value, victim.attr};
  Aftermath after = TRY(lose_name(tx, env, lost, trash));
  tx.write(DeleteEntry{parent, std::string(name), *victim.value});
  tx.write(DeleteDirStat{victim.value->ino});
  touch_dir(tx, env, parent, *dir.value, -1);
  add_dir_stat(tx, env, parent, 0, -4096, -1);
  return after;
}

}  // namespace

Result<Ino> Meta::rmdir(const Caller& caller, Ino parent, std::string_view name, bool skip_trash,
                        ChangedDirs* dirs) {
  const OpTimer<"Rmdir"> timer;
  TRY(check_writable());
  if (name == ".") return fail(EINVAL);
  if (name == "..") return fail(ENOTEMPTY);
  TRY(check_name(name));
  if ((parent == kRootIno && name == ".trash") || (is_trash(parent) && !caller.is_root())) return fail(EPERM);
  Aftermath after;
  TRY(run(
      caller,
      [&](Transaction& tx, OpEnv& env) -> Status {
        Ino trash = skip_trash ? 0 : env.trash(parent);
        after = TRY(rmdir_op(tx, env, parent, name, trash));
        return {};
      },
      skip_trash || is_trash(parent) ? Trash::unused : Trash::needed, dirs));
  return after.ino;
}

}  // namespace cider::meta
