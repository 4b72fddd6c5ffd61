// lookup, getattr, readlink, listing, access: operations that only read. They use no hints; each flight is
// one instant, but where an engine is told of changes and may answer from memory.
#include "meta/ops/env.h"
#include "meta/ops/op_timer.h"

namespace cider::meta {
namespace {

using Read = Status (Store::*)(Operation, std::stop_token);

Result<Attr> read_attr(Store& store, Read read, Ino ino, const std::stop_token& stop) {
  std::optional<Attr> value;
  const auto operation = [&](Transaction& tx) -> Status {
    auto& inode = tx.attr(ino, field::all);
    TRY(tx.fetch());
    value = inode.value;
    return {};
  };
  TRY((store.*read)(operation, stop));
  if (value) return *value;
  if (ino != kTrashIno) return fail(ENOENT);
  // A volume that was made without a trash still shows its folder.
  Attr trash;
  trash.type = FileType::directory;
  trash.mode = 0555;
  trash.nlink = 2;
  trash.length = kDirectoryLength;
  trash.parent = kRootIno;
  return trash;
}

}  // namespace

Result<Attr> Meta::getattr(Ino ino, const std::stop_token& stop) {
  const OpTimer<"GetAttr"> timer;
  return read_attr(*store_, &Store::read, ino, stop);
}

Result<Attr> Meta::recent_attr(Ino ino, const std::stop_token& stop) {
  const OpTimer<"GetAttr"> timer;
  return read_attr(*store_, &Store::read_recent, ino, stop);
}

Result<Node> Meta::lookup(const Caller& caller, Ino parent, std::string_view name) {
  const OpTimer<"Lookup"> timer;
  if (caller.check_permission) TRY(access(caller, parent, kExecute));
  if (name == ".") return Node{parent, TRY(recent_attr(parent, caller.interrupt))};
  if (name == "..") {
    Attr dir = TRY(recent_attr(parent, caller.interrupt));
    if (!dir.is_dir()) return fail(ENOTDIR);
    return Node{dir.parent, TRY(recent_attr(dir.parent, caller.interrupt))};
  }
  if (name.size() > kMaxName) return fail(ENAMETOOLONG);
  if (parent == kRootIno && name == ".trash")
    return Node{kTrashIno, TRY(recent_attr(kTrashIno, caller.interrupt))};
  Node node;
  TRY(store_->read_recent(
      [&](Transaction& tx) -> Status {
        auto& found = tx.lookup(parent, name, field::all);
        TRY(tx.fetch());
        if (!found.value) return fail(ENOENT);
        // An entry without its inode is a crash of an older client; it can still be removed by name.
        if (!found.attr)
          return fail(ENOENT,
                      "entry " + std::string(name) + " of directory " + std::to_string(parent) + " dangles");
        node = Node{found.value->ino, *found.attr};
        return {};
      },
      caller.interrupt));
  return node;
}

Result<std::string> Meta::readlink(const Caller& caller, Ino ino) {
  const OpTimer<"ReadLink"> timer;
  std::string target;
  Attr attr;
  TRY(store_->read(
      [&](Transaction& tx) -> Status {
        auto& inode = tx.attr(ino, field::all);
        auto& link = tx.ask(SymlinkRead{ino, {}});
        TRY(tx.fetch());
        if (!inode.value) return fail(ENOENT);
        if (!inode.value->is_symlink()) return fail(EINVAL);
        if (!link.target) return fail(EIO, "symlink " + std::to_string(ino) + " has no target");
        target = *link.target;
        attr = *inode.value;
        return {};
      },
      caller.interrupt));
  (void)touch_atime(ino, attr);  // a lost access time is no reason to fail
  return target;
}

Result<std::vector<ListedEntry>> Meta::list_dir(Ino dir, DirCursor* cursor, size_t limit, bool with_attrs,
                                                const std::stop_token& stop) {
  const OpTimer<"Readdir"> timer;
  return store_->list_dir(dir, cursor, limit, with_attrs, stop);
}

Status Meta::access(const Caller& caller, Ino ino, int mask) {
  return access(caller, TRY(recent_attr(ino, caller.interrupt)), mask);
}

Status Meta::access(const Caller& caller, const Attr& attr, int mask) {
  Caller asking = caller;
  asking.check_permission = true;
  if ((mask & kWrite) && (attr.flags & kFlagImmutable)) return fail(EPERM);
  if (asking.is_root()) {
    bool executable = attr.is_dir() || (attr.mode & 0111);
    return (mask & kExecute) && !executable ? Status(fail(EACCES)) : Status{};
  }
  return evaluate(asking, [&](OpEnv& env) { return check_access(env, attr, mask); });
}

}  // namespace cider::meta
