// link: one more name for an inode; also the first name of an O_TMPFILE.
//
// Reads:  the directory, the entry's absence, the inode (type, flags, nlink, parent, length); for an inode
// without a name also who
//         keeps it. One flight, or none with hints.
// Checks: the directory takes entries; the name is absent; the inode is no directory, changeable, and not a
// deleted file. Writes: entry; nlink, ctime, parent; parent map; the directory's times; statistics. One
// commit.
#include <algorithm>

#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

constexpr Fields kLinkedFields = field::type | field::flags | field::nlink | field::parent | field::length;
constexpr uint32_t kMaxLinks = 0x7FFFFFFF;

// A file made by O_TMPFILE has nlink 0 and is kept by our session. Once it has a name nobody may clean it up
// with the session.
Status adopt(Transaction& tx, const OpEnv& env, Ino ino) {
  auto& keepers = tx.ask(SustainedRead{ino, {}});
  TRY(tx.fetch());
  if (std::find(keepers.sids.begin(), keepers.sids.end(), env.sid) == keepers.sids.end()) return fail(ENOENT);
  tx.write(DeleteSustained{env.sid, ino});
  return {};
}

Result<Attr> link_op(Transaction& tx, OpEnv& env, Ino ino, Ino parent, std::string_view name) {
  auto& dir = tx.attr(parent, field::access);
  auto& present = tx.entry(parent, name);
  present.absence_expected = true;
  auto& inode = tx.attr(ino, kLinkedFields, field::all);
  TRY(tx.fetch());
  if (!inode.value) return fail(ENOENT);
  TRY(check_search(env, dir.value));
  if (present.value) return fail(EEXIST);
  TRY(check_dir(env, *dir.value, DirUse::add));
  Attr attr = *inode.value;
  TRY(check_changeable(attr));
  if (attr.is_dir()) return fail(EPERM);
  if (attr.nlink >= kMaxLinks) return fail(EMLINK);

  PatchNode patch{ino};
  patch.set = field::nlink | field::parent;
  patch.touch_ctime = env.now;
  if (attr.nlink == 0) {
    TRY(adopt(tx, env, ino));
    attr.parent = parent;
  } else {
    if (attr.parent > 0) tx.write(AddParent{ino, attr.parent, +1});
    tx.write(AddParent{ino, parent, +1});
    attr.parent = 0;
  }
  attr.nlink += 1;
  attr.ctime = env.now;
  patch.values = attr;
  tx.write(std::move(patch));
  tx.write(InsertEntry{parent, std::string(name), Entry{ino, attr.type}});
  touch_dir(tx, env, parent, *dir.value, 0);
  add_dir_stat(tx, env, parent, attr, +1);
  return attr;
}

}  // namespace

Result<Node> Meta::link(const Caller& caller, Ino ino, Ino parent, std::string_view name, ChangedDirs* dirs) {
  const OpTimer<"Link"> timer;
  TRY(check_writable());
  if (name == "." || name == "..") return fail(EEXIST);
  TRY(check_name(name));
  if (is_trash(parent) || (parent == kRootIno && name == ".trash")) return fail(EPERM);
  Node node{ino, {}};
  const auto operation = [&](Transaction& tx, OpEnv& env) -> Status {
    node.attr = TRY(link_op(tx, env, ino, parent, name));
    return {};
  };
  TRY(run(caller, operation, Trash::unused, dirs));
  // A file that was kept for its handles is still looked after at the last close, which then finds that it
  // has a name.
  return node;
}

}  // namespace cider::meta
