// rename: NOREPLACE, EXCHANGE, WHITEOUT, and out of the trash.
//
// Reads:  both directories, both entries with their inodes, the trash folder, emptiness of a replaced
// directory; if a directory
//         changes its parent, the parent of every ancestor of its new place up to the root (predicates of the
//         commit, so that two clients cannot make a directory its own ancestor). One flight, or none with
//         hints; one more per ancestor not known.
// Checks: as unlink for the source and, where something is replaced, for the target; types match; no loop.
// Writes: both entries, the moved inode's parent and ctime, the directories' nlink and times, what
// lose_name() says of the
//         replaced inode, statistics. One commit.
#include "meta/ops/lost_name.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr Fields kMovedFields = kVictimFields | field::mode;

struct Place {
  Ino dir = 0;
  std::string_view name;
};

struct Sides {
  Place from;
  Place to;
  const AttrRead* from_dir;
  const AttrRead* to_dir;
  const LookupRead* moved;
  const LookupRead* target;
  bool changes_dir() const { return from.dir != to.dir; }
};

// EINVAL where `dir` lies below `moved` (or is it).
Status check_no_loop(Transaction& tx, Ino moved, Ino dir) {
  Ino at = dir;
  for (int depth = 0; depth < 100'000; ++depth) {
    if (at == moved) return fail(EINVAL);
    if (at == kRootIno || is_trash(at)) return {};
    auto& ancestor = tx.attr(at, field::type | field::parent);
    TRY(tx.fetch());
    if (!ancestor.value) return fail(ENOENT);
    at = ancestor.value->parent;
  }
  return fail(ELOOP, "directory " + std::to_string(dir) + " is its own ancestor");
}

// What both lookups say, before any permission to change something is asked.
Status check_names(Transaction& tx, OpEnv& env, const Sides& s, uint32_t flags) {
  TRY(check_search(env, s.from_dir->value));
  TRY(check_search(env, s.to_dir->value));
  if (!s.moved->value || !s.moved->attr) return fail(ENOENT);
  if (s.target->value && (flags & kRenameNoReplace)) return fail(EEXIST);
  if (!s.target->value && (flags & kRenameExchange)) return fail(ENOENT);
  if (!s.changes_dir()) return {};
  if (s.moved->attr->is_dir()) TRY(check_no_loop(tx, s.moved->value->ino, s.to.dir));
  bool swaps_dir = (flags & kRenameExchange) && s.target->value->type == FileType::directory;
  if (swaps_dir) TRY(check_no_loop(tx, s.target->value->ino, s.from.dir));
  return {};
}

Status check_source(OpEnv& env, const Sides& s) {
  TRY(check_dir(env, *s.from_dir->value, DirUse::remove));
  TRY(check_sticky(env, *s.from_dir->value, *s.moved->attr));
  return check_changeable(*s.moved->attr);
}

Status check_target(Transaction& tx, OpEnv& env, const Sides& s, uint32_t flags) {
  // A folder that is in the trash itself takes what is restored.
  if (!(flags & kRenameRestore)) TRY(check_dir(env, *s.to_dir->value, DirUse::add));
  bool moved_is_dir = s.moved->value->type == FileType::directory;
  bool target_is_dir = s.target->value && s.target->value->type == FileType::directory;
  bool exchange = flags & kRenameExchange;
  if (s.target->value) {
    TRY(check_dir(env, *s.to_dir->value, DirUse::remove));
    if (s.target->attr) {
      TRY(check_sticky(env, *s.to_dir->value, *s.target->attr));
      TRY(check_changeable(*s.target->attr));
    }
    if (!exchange && moved_is_dir && !target_is_dir) return fail(ENOTDIR);
    if (!exchange && !moved_is_dir && target_is_dir) return fail(EISDIR);
  }
  // The caller must be able to write a directory whose ".." changes.
  if (s.changes_dir() && moved_is_dir) TRY(check_access(env, *s.moved->attr, kWrite));
  if (s.changes_dir() && exchange && target_is_dir && s.target->attr)
    TRY(check_access(env, *s.target->attr, kWrite));
  if (exchange) return {};
  if (target_is_dir) {
    auto& content = tx.ask(DirEmptyRead{s.target->value->ino, false});
    TRY(tx.fetch());
    if (!content.empty) return fail(ENOTEMPTY);
  }
  return {};
}

// The inode's own record: where it hangs now, and its ctime.
void write_moved(Transaction& tx, const OpEnv& env, const Entry& entry, const Attr& attr, Ino from, Ino to,
                 Attr* after) {
  PatchNode patch{entry.ino};
  patch.touch_ctime = env.now;
  if (from != to) {
    if (attr.parent > 0) {
      patch.set = field::parent;
      patch.values.parent = to;
    } else {
      tx.write(AddParent{entry.ino, from, -1});
      tx.write(AddParent{entry.ino, to, +1});
    }
  }
  if (after) {
    *after = attr;
    after->ctime = env.now;
    if (patch.set & field::parent) after->parent = to;
  }
  tx.write(std::move(patch));
}

void exchange(Transaction& tx, const OpEnv& env, const Sides& s, Renamed* renamed) {
  const Entry& a = *s.moved->value;
  const Entry& b = *s.target->value;
  tx.write(ReplaceEntry{s.from.dir, std::string(s.from.name), a, b});
  tx.write(ReplaceEntry{s.to.dir, std::string(s.to.name), b, a});
  write_moved(tx, env, a, *s.moved->attr, s.from.dir, s.to.dir, &renamed->moved.attr);
  if (s.target->attr) write_moved(tx, env, b, *s.target->attr, s.to.dir, s.from.dir, nullptr);
  int subdirs = 0;
  if (s.changes_dir()) {
    subdirs = (a.type == FileType::directory) - (b.type == FileType::directory);
    add_dir_stat(tx, env, s.from.dir, *s.moved->attr, -1);
    add_dir_stat(tx, env, s.to.dir, *s.moved->attr, +1);
    if (s.target->attr) {
      add_dir_stat(tx, env, s.to.dir, *s.target->attr, -1);
      add_dir_stat(tx, env, s.from.dir, *s.target->attr, +1);
    }
  }
  touch_dir(tx, env, s.from.dir, *s.from_dir->value, -subdirs);
  if (s.changes_dir()) touch_dir(tx, env, s.to.dir, *s.to_dir->value, subdirs);
}

// WHITEOUT leaves a character device 0:0 where the moved entry was.
Status leave_whiteout(Transaction& tx, OpEnv& env, const Sides& s, Ino ino) {
  TRY(check_room(tx, env, 4096, 1));
  Attr attr;
  attr.type = FileType::char_device;
  attr.uid = env.caller.uid;
  attr.gid = (s.from_dir->value->mode & 02000) ? s.from_dir->value->gid : env.caller.gid;
  attr.parent = s.from.dir;
  attr.nlink = 1;
  attr.atime = attr.mtime = attr.ctime = env.now;
  tx.write(InsertNode{ino, attr});
  tx.write(
      ReplaceEntry{s.from.dir, std::string(s.from.name), *s.moved->value, Entry{ino, FileType::char_device}});
  tx.write(AddUsage{4096, 1});
  add_dir_stat(tx, env, s.from.dir, attr, +1);
  return {};
}

Result<Aftermath> move(Transaction& tx, OpEnv& env, const Sides& s, Ino trash, Ino whiteout,
                       Renamed* renamed) {
  const Entry& moved = *s.moved->value;
  bool is_dir = moved.type == FileType::directory;
  Aftermath after;
  int to_subdirs = s.changes_dir() && is_dir ? 1 : 0;
  if (s.target->value) {
    LostName lost{s.to.dir, s.to.name, *s.target->value, s.target->attr};
    after = TRY(lose_name(tx, env, lost, trash));
    if (s.target->value->type == FileType::directory) {
      tx.write(DeleteDirStat{s.target->value->ino});
      --to_subdirs;
    }
    if (s.target->attr) add_dir_stat(tx, env, s.to.dir, *s.target->attr, -1);
  }
  if (whiteout != 0) {
    TRY(leave_whiteout(tx, env, s, whiteout));
  } else {
    tx.write(DeleteEntry{s.from.dir, std::string(s.from.name), moved});
  }
  if (s.target->value) {
    tx.write(ReplaceEntry{s.to.dir, std::string(s.to.name), *s.target->value, moved});
  } else {
    tx.write(InsertEntry{s.to.dir, std::string(s.to.name), moved});
  }
  write_moved(tx, env, moved, *s.moved->attr, s.from.dir, s.to.dir, &renamed->moved.attr);
  if (s.changes_dir()) {
    add_dir_stat(tx, env, s.from.dir, *s.moved->attr, -1);
    add_dir_stat(tx, env, s.to.dir, *s.moved->attr, +1);
    touch_dir(tx, env, s.from.dir, *s.from_dir->value, is_dir ? -1 : 0);
  }
  touch_dir(tx, env, s.to.dir, *s.to_dir->value, to_subdirs);
  return after;
}

Status check_arguments(const Caller& caller, const Place& from, const Place& to, uint32_t flags) {
  constexpr uint32_t kKnown = kRenameNoReplace | kRenameExchange | kRenameWhiteout | kRenameRestore;
  if (flags & ~kKnown) return fail(EINVAL);
  if ((flags & kRenameExchange) && (flags & (kRenameNoReplace | kRenameWhiteout))) return fail(EINVAL);
  for (const Place& place : {from, to}) {
    if (place.name == "." || place.name == "..") return fail(EBUSY);
    TRY(check_name(place.name));
    if (place.dir == kRootIno && place.name == ".trash") return fail(EPERM);
  }
  // The hour folders stay where they are; what is in them may be taken out.
  if (is_trash(to.dir) || from.dir == kTrashIno || (is_trash(from.dir) && !caller.is_root()))
    return fail(EPERM);
  return {};
}

}  // namespace

Result<Renamed> Meta::rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent,
                             std::string_view new_name, uint32_t flags, ChangedDirs* dirs) {
  const OpTimer<"Rename"> timer;
  TRY(check_writable());
  Place from{parent, name};
  Place to{new_parent, new_name};
  TRY(check_arguments(caller, from, to, flags));
  Renamed renamed;
  Aftermath after;
  const auto rename_with = [&](Ino whiteout) {
    return run(
        caller,
        [&](Transaction& tx, OpEnv& env) -> Status {
          renamed = Renamed{};
          after = Aftermath{};
          Ino trash = env.trash(new_parent);
          Sides s{from,
                  to,
                  &tx.attr(from.dir, field::access),
                  &tx.attr(to.dir, field::access),
                  &tx.lookup(from.dir, from.name, kMovedFields, field::all),
                  &tx.lookup(to.dir, to.name, kVictimFields)};
          AttrRead* folder = ask_trash(tx, trash);
          TRY(tx.fetch());
          TRY(check_names(tx, env, s, flags));
          renamed.moved = Node{s.moved->value->ino, *s.moved->attr};
          bool same_inode = s.target->value && s.target->value->ino == s.moved->value->ino;
          if (same_inode) return {};
          TRY(check_source(env, s));
          TRY(check_target(tx, env, s, flags));
          TRY(check_trash(folder));
          if (s.target->value) renamed.replaced = s.target->value->ino;
          if (flags & kRenameExchange) {
            exchange(tx, env, s, &renamed);
          } else {
            after = TRY(move(tx, env, s, trash, whiteout, &renamed));
          }
          return {};
        },
        Trash::needed, dirs);
  };
  TRY(flags & kRenameWhiteout ? with_new_inode(caller, rename_with) : rename_with(0));
  settle(after);
  return renamed;
}

}  // namespace cider::meta
