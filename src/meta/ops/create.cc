// create, mknod, mkdir, symlink, tmpfile: a new inode, and for all but tmpfile its entry.
//
// Reads:  the parent (type, mode, owner, flags, ACL ids, parent; tier) and the entry. One flight, or none
// with hints. Checks: the parent is a directory outside the trash that takes entries; the name is absent; the
// volume has room. Writes: inode (only where nothing is), entry, symlink target, the parent's times and
// nlink, usage, statistics. One commit.
#include <fcntl.h>

#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr Fields kParentFields = field::access | field::tier;

struct NewInode {
  Ino ino;
  Ino parent;
  const NewNode& node;
};

// Owner, mode and ACLs of a new inode, as its directory says.
Result<Attr> new_attr(OpEnv& env, const NewInode& what, const Attr& dir) {
  const NewNode& node = what.node;
  Attr attr;
  attr.type = node.type;
  attr.parent = what.parent;
  attr.uid = env.caller.uid;
  attr.gid = (dir.mode & 02000) ? dir.gid : env.caller.gid;
  attr.tier = dir.tier;
  attr.flags = dir.flags & kFlagSkipTrash;
  attr.atime = attr.mtime = attr.ctime = env.now;
  attr.nlink = attr.is_dir() ? 2 : 1;
  attr.length = attr.is_dir() ? kDirectoryLength : attr.is_symlink() ? node.target.size() : 0;
  attr.rdev = attr.is_dir() || attr.is_symlink() ? 0 : node.rdev;

  uint16_t mode = attr.is_symlink() ? 0777 : node.mode & 07777;  // neither mode nor umask count for a symlink
  if (dir.default_acl != 0 && !attr.is_symlink()) {
    if (attr.is_dir()) attr.default_acl = dir.default_acl;
    AclRule inherited = TRY(env.acl_rule(dir.default_acl));
    if (inherited.minimal()) {
      attr.mode = mode & (07000 | inherited.mode());
    } else {
      AclRule rule = child_access_rule(inherited, mode);
      attr.access_acl = TRY(env.acl_id(rule));
      attr.mode = (mode & 07000) | rule.mode();
    }
  } else {
    attr.mode = attr.is_symlink() ? mode : mode & ~env.caller.umask;
  }
  if (dir.mode & 02000) {
    if (attr.is_dir()) {
      attr.mode |= 02000;
    } else if (env.caller.check_permission && !env.caller.is_root() && (attr.mode & 02010) == 02010 &&
               !env.caller.in_group(dir.gid)) {
      attr.mode &= ~02000;
    }
  }
  return attr;
}

Result<Attr> create_op(Transaction& tx, OpEnv& env, const NewInode& what, std::string_view name,
                       LookupRead** existing) {
  auto& dir = tx.attr(what.parent, kParentFields);
  auto& present = tx.lookup(what.parent, name, field::none);
  present.absence_expected = true;
  *existing = nullptr;
  TRY(tx.fetch());
  TRY(check_search(env, dir.value));
  if (present.value) {
    *existing = &present;
    return fail(EEXIST);
  }
  TRY(check_dir(env, *dir.value, DirUse::add));
  TRY(check_room(tx, env, 4096, 1));
  Attr attr = TRY(new_attr(env, what, *dir.value));
  tx.write(InsertNode{what.ino, attr});
  tx.write(InsertEntry{what.parent, std::string(name), Entry{what.ino, attr.type}});
  if (attr.is_symlink()) tx.write(SetSymlink{what.ino, std::string(what.node.target)});
  if (attr.is_dir()) tx.write(CreateDirStat{what.ino});
  touch_dir(tx, env, what.parent, *dir.value, attr.is_dir() ? 1 : 0);
  tx.write(AddUsage{4096, 1});
  add_dir_stat(tx, env, what.parent, 0, 4096, 1);
  return attr;
}

Status check_new_name(Ino parent, std::string_view name) {
  if (name == "." || name == "..") return fail(EEXIST);
  TRY(check_name(name));
  if (is_trash(parent) || (parent == kRootIno && name == ".trash")) return fail(EPERM);
  return {};
}

Status check_node(const NewNode& node) {
  if (!node.target.empty() || node.type == FileType::symlink) {
    if (node.type != FileType::symlink) return fail(EINVAL, "only a symlink has a target");
    if (node.target.empty()) return fail(ENOENT);
    if (node.target.size() >= kMaxSymlink) return fail(ENAMETOOLONG);
    if (node.target.find('\0') != std::string_view::npos) return fail(EINVAL);
  }
  return {};
}

}  // namespace

Result<Node> Meta::mknod(const Caller& caller, Ino parent, std::string_view name, const NewNode& node,
                         ChangedDirs* dirs) {
  const OpTimer<"Mknod"> timer;
  TRY(check_writable());
  TRY(check_new_name(parent, name));
  TRY(check_node(node));
  Node made;
  TRY(with_new_inode(caller, [&](Ino ino) {
    made.ino = ino;
    return run(
        caller,
        [&](Transaction& tx, OpEnv& env) -> Status {
          LookupRead* existing;
          made.attr = TRY(create_op(tx, env, NewInode{ino, parent, node}, name, &existing));
          return {};
        },
        Trash::unused, dirs);
  }));
  return made;
}

Result<Node> Meta::create(const Caller& caller, Ino parent, std::string_view name, uint16_t mode,
                          bool exclusive, bool* created, int flags, ChangedDirs* dirs) {
  const OpTimer<"Create"> timer;
  TRY(check_writable());
  TRY(check_new_name(parent, name));
  NewNode node{FileType::file, mode, 0, {}};
  for (;;) {
    std::optional<Node> present;
    Node fresh;
    Status made = with_new_inode(caller, [&](Ino ino) {
      fresh.ino = ino;
      // Counts as open before anybody can see it, so that no unlink takes it for closed.
      open_files_.open(ino);
      const auto operation = [&](Transaction& tx, OpEnv& env) -> Status {
        present.reset();
        LookupRead* existing;
        auto answer = create_op(tx, env, NewInode{ino, parent, node}, name, &existing);
        if (existing && !exclusive && existing->attr) present = Node{existing->value->ino, *existing->attr};
        fresh.attr = TRY(std::move(answer));
        return {};
      };
      Status done = run(caller, operation, Trash::unused, dirs);
      if (!done) open_files_.close(ino);
      return done;
    });
    *created = made.has_value();
    if (made) return fresh;
    if (made.error().code != EEXIST || !present) return fail(std::move(made).error());
    if (!present->attr.is_file()) return fail(present->attr.is_dir() ? EISDIR : EEXIST);
    auto opened = open(caller, present->ino, flags);
    // It may have lost its name since; one in the trash may not be written.
    if (!opened && opened.error().code == ENOENT) continue;
    if (!opened && opened.error().code == EPERM) {
      auto now = lookup(Caller{.interrupt = caller.interrupt}, parent, name);
      if (!now || now->ino != present->ino) continue;
    }
    present->attr = TRY(std::move(opened));
    return *present;
  }
}

Result<Node> Meta::tmpfile(const Caller& caller, Ino parent, uint16_t mode) {
  const OpTimer<"Tmpfile"> timer;
  TRY(check_writable());
  if (is_trash(parent)) return fail(EPERM);
  NewNode node{FileType::file, mode, 0, {}};
  Node made;
  TRY(with_new_inode(caller, [&](Ino ino) {
    made.ino = ino;
    open_files_.open(ino);
    Status done = run(caller, [&](Transaction& tx, OpEnv& env) -> Status {
      auto& dir = tx.attr(parent, kParentFields);
      SessionRead* session = ask_own_session(tx, env);
      TRY(tx.fetch());
      TRY(check_own_session(session));
      TRY(check_search(env, dir.value));
      TRY(check_dir(env, *dir.value, DirUse::add));
      TRY(check_room(tx, env, 4096, 1));
      made.attr = TRY(new_attr(env, NewInode{ino, parent, node}, *dir.value));
      made.attr.nlink = 0;
      tx.write(InsertNode{ino, made.attr});
      tx.write(PutSustained{env.sid, ino});
      tx.write(AddUsage{4096, 1});
      return {};
    });
    if (!done) open_files_.close(ino);
    return done;
  }));
  (void)open_files_.set_unlinked(made.ino);
  return made;
}

}  // namespace cider::meta
