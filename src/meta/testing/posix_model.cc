#include "meta/testing/posix_model.h"

#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>

namespace cider::meta::testing {
namespace {

constexpr int kRead = 4;
constexpr int kWrite = 2;
constexpr int kExecute = 1;
constexpr uint8_t kFixed = kFlagImmutable | kFlagAppend;

uint16_t stripped(uint16_t mode) {
  mode &= ~04000;
  return (mode & 010) ? mode & ~02000 : mode;
}

}  // namespace

PosixModel::PosixModel(bool trash) : trash_(trash) {
  ModelNode root;
  root.type = FileType::directory;
  root.mode = 0777;
  root.length = kDirectoryLength;
  root.parent = kRootIno;
  root.links = 1;
  root.mtime_moved = root.ctime_moved = true;
  nodes_.emplace(kRootIno, root);
}

ModelNode* PosixModel::find(Ino ino) {
  auto it = nodes_.find(ino);
  return it == nodes_.end() ? nullptr : &it->second;
}

uint32_t PosixModel::nlink(const ModelNode& node) const {
  if (!node.is_dir()) return node.links + node.trash_links;
  uint32_t subdirs = 0;
  for (const auto& [name, ino] : node.entries) subdirs += nodes_.at(ino).is_dir();
  return 2 + subdirs;
}

Ino PosixModel::at(Ino dir, const std::string& name) {
  ModelNode* node = find(dir);
  if (!node) return 0;
  auto it = node->entries.find(name);
  return it == node->entries.end() ? 0 : it->second;
}

bool PosixModel::permits(const Caller& c, const ModelNode& node, int want) const {
  if (c.uid == 0) return true;
  int have = node.mode;
  if (c.uid == node.uid) {
    have >>= 6;
  } else if (c.in_group(node.gid)) {
    have >>= 3;
  }
  return (have & want) == want;
}

int PosixModel::search(const Caller& c, Ino dir) {
  ModelNode* node = find(dir);
  if (!node) return ENOENT;
  if (!node->is_dir()) return ENOTDIR;
  return permits(c, *node, kExecute) ? 0 : EACCES;
}

int PosixModel::may_change(const Caller& c, const ModelNode& dir, bool removes) const {
  if (dir.flags & kFlagImmutable) return EPERM;
  if (!permits(c, dir, kWrite | kExecute)) return EACCES;
  return removes && (dir.flags & kFlagAppend) ? EPERM : 0;
}

int PosixModel::may_remove(const Caller& c, const ModelNode& dir, const ModelNode& victim) const {
  if (int error = may_change(c, dir, true)) return error;
  bool sticky = (dir.mode & 01000) && c.uid != 0 && c.uid != dir.uid && c.uid != victim.uid;
  return sticky || (victim.flags & kFixed) ? EPERM : 0;
}

void PosixModel::changed(Ino dir) {
  ModelNode& node = nodes_.at(dir);
  node.mtime_moved = node.ctime_moved = true;
}

ModelNode PosixModel::born(const Caller& c, const ModelNode& dir, const NewNode& what) const {
  ModelNode node;
  node.type = what.type;
  node.uid = c.uid;
  bool inherits = dir.mode & 02000;
  node.gid = inherits ? dir.gid : c.gid;
  node.mode = what.type == FileType::symlink ? 0777 : what.mode & 07777 & ~c.umask;
  if (inherits && node.is_dir()) node.mode |= 02000;
  if (inherits && !node.is_dir() && c.uid != 0 && (node.mode & 02010) == 02010 && !c.in_group(dir.gid))
    node.mode &= ~02000;
  node.length = node.is_dir() ? kDirectoryLength : what.target.size();
  node.target = what.target;
  bool device = what.type != FileType::directory && what.type != FileType::symlink;
  node.rdev = device ? what.rdev : 0;
  node.links = 1;
  node.mtime_moved = node.ctime_moved = true;
  return node;
}

int PosixModel::lookup(const Caller& c, Ino dir, const std::string& name) {
  if (int error = search(c, dir)) return error == ENOTDIR ? ENOENT : error;
  return at(dir, name) ? 0 : ENOENT;
}

int PosixModel::mknod(const Caller& c, Ino dir, const std::string& name, const NewNode& what, Ino made) {
  if (int error = search(c, dir)) return error;
  if (at(dir, name)) return EEXIST;
  if (int error = may_change(c, *find(dir), false)) return error;
  ModelNode node = born(c, *find(dir), what);
  node.parent = dir;
  nodes_[made] = std::move(node);
  find(dir)->entries[name] = made;
  changed(dir);
  return 0;
}

int PosixModel::create(const Caller& c, size_t client, Ino dir, const std::string& name, uint16_t mode,
                       bool exclusive, Ino made) {
  int error = mknod(c, dir, name, NewNode{FileType::file, mode, 0, {}}, made);
  if (!error) {
    ++find(made)->opens[client];
    return 0;
  }
  if (error != EEXIST || exclusive) return error;
  Ino present = at(dir, name);
  if (!find(present)->is_file()) return find(present)->is_dir() ? EISDIR : EEXIST;
  return open(c, client, present, O_RDWR);
}

int PosixModel::tmpfile(const Caller& c, size_t client, Ino dir, uint16_t mode, Ino made) {
  if (int error = search(c, dir)) return error;
  if (int error = may_change(c, *find(dir), false)) return error;
  ModelNode node = born(c, *find(dir), NewNode{FileType::file, mode, 0, {}});
  node.links = 0;
  node.opens[client] = 1;
  node.keepers.insert(client);
  nodes_[made] = std::move(node);
  return 0;
}

int PosixModel::link(const Caller& c, size_t client, Ino ino, Ino dir, const std::string& name) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  if (int error = search(c, dir)) return error;
  if (at(dir, name)) return EEXIST;
  if (int error = may_change(c, *find(dir), false)) return error;
  if (node->flags & kFixed || node->is_dir()) return EPERM;
  if (nlink(*node) == 0) {
    if (!node->keepers.erase(client)) return ENOENT;
    node->shared = false;
  } else {
    node->shared = true;
  }
  ++node->links;
  node->ctime_moved = true;
  find(dir)->entries[name] = ino;
  changed(dir);
  return 0;
}

void PosixModel::lose_name(Ino ino, Ino dir, const std::string& name, size_t client, bool trash) {
  ModelNode& node = nodes_.at(ino);
  find(dir)->entries.erase(name);
  if (node.is_dir()) {  // nobody goes there again, be it in the trash
    nodes_.erase(ino);
    return;
  }
  std::string trashed = trash_entry_name(dir, ino, name);
  if (trash && nlink(node) > 1 && trash_names_.contains(trashed)) trash = false;
  bool last = nlink(node) == 1;
  --node.links;
  node.ctime_moved = true;
  if (trash) {
    ++node.trash_links;
    trash_names_.insert(trashed);
  } else if (last && node.is_file() && node.opens[client] > 0) {
    node.keepers.insert(client);
  } else if (last) {
    nodes_.erase(ino);
  }
}

int PosixModel::unlink(const Caller& c, size_t client, Ino dir, const std::string& name, bool skip_trash) {
  if (int error = search(c, dir)) return error;
  Ino ino = at(dir, name);
  if (!ino) return ENOENT;
  if (int error = may_remove(c, *find(dir), *find(ino))) return error;
  if (find(ino)->is_dir()) return EISDIR;
  lose_name(ino, dir, name, client, trash_ && !skip_trash);
  changed(dir);
  return 0;
}

int PosixModel::rmdir(const Caller& c, Ino dir, const std::string& name) {
  if (int error = search(c, dir)) return error;
  Ino ino = at(dir, name);
  if (!ino) return ENOENT;
  if (int error = may_remove(c, *find(dir), *find(ino))) return error;
  if (!find(ino)->is_dir()) return ENOTDIR;
  if (!find(ino)->entries.empty()) return ENOTEMPTY;
  lose_name(ino, dir, name, 0, trash_);
  changed(dir);
  return 0;
}

bool PosixModel::is_below(Ino dir, Ino ancestor) {
  for (;; dir = find(dir)->parent) {
    if (dir == ancestor) return true;
    if (dir == kRootIno) return false;
  }
}

int PosixModel::rename(const Caller& c, size_t client, Ino from, const std::string& name, Ino to,
                       const std::string& new_name, uint32_t flags, Ino whiteout) {
  if (int error = search(c, from)) return error;
  if (int error = search(c, to)) return error;
  Ino moved = at(from, name);
  Ino target = at(to, new_name);
  bool exchange = flags & kRenameExchange;
  if (!moved) return ENOENT;
  if (target && (flags & kRenameNoReplace)) return EEXIST;
  if (!target && exchange) return ENOENT;
  ModelNode& node = *find(moved);
  ModelNode* other = find(target);
  bool other_is_dir = other && other->is_dir();
  bool moves = from != to;
  if (moves && node.is_dir() && is_below(to, moved)) return EINVAL;
  if (moves && exchange && other_is_dir && is_below(from, target)) return EINVAL;
  if (moved == target) return 0;
  if (int error = may_remove(c, *find(from), node)) return error;
  if (int error = may_change(c, *find(to), false)) return error;
  if (other) {
    if (int error = may_remove(c, *find(to), *other)) return error;
    if (!exchange && node.is_dir() && !other_is_dir) return ENOTDIR;
    if (!exchange && !node.is_dir() && other_is_dir) return EISDIR;
  }
  if (moves && node.is_dir() && !permits(c, node, kWrite)) return EACCES;
  if (moves && exchange && other_is_dir && !permits(c, *other, kWrite)) return EACCES;
  if (!exchange && other_is_dir && !other->entries.empty()) return ENOTEMPTY;

  node.ctime_moved = true;
  if (node.is_dir()) node.parent = to;
  if (exchange) {
    other->ctime_moved = true;
    if (other_is_dir) other->parent = from;
    find(from)->entries[name] = target;
  } else {
    if (other) lose_name(target, to, new_name, client, trash_);
    find(from)->entries.erase(name);
    if (flags & kRenameWhiteout) {
      ModelNode hole = born(c, *find(from), NewNode{FileType::char_device, 0, 0, {}});
      nodes_[whiteout] = hole;
      find(from)->entries[name] = whiteout;
    }
  }
  find(to)->entries[new_name] = moved;
  changed(from);
  changed(to);
  return 0;
}

int PosixModel::setattr(const Caller& c, size_t client, Ino ino, const AttrChange& change) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  bool owner = c.uid == 0 || c.uid == node->uid;
  bool sets = change.atime || change.mtime;
  bool touches = change.atime_now || change.mtime_now;
  bool chowns = change.uid || change.gid;
  if ((node->flags & kFlagImmutable) && (change.mode || chowns || sets || touches)) return EPERM;
  if ((node->flags & kFlagAppend) && (change.mode || chowns || sets)) return EPERM;
  if (node->trashed() && node->opens[client] == 0) return EPERM;
  if (change.uid && c.uid != 0 && (!owner || *change.uid != node->uid)) return EPERM;
  if (change.gid && c.uid != 0 && (!owner || (*change.gid != node->gid && !c.in_group(*change.gid))))
    return EPERM;
  if ((change.mode || sets) && !owner) return EPERM;
  if (touches && !owner && !permits(c, *node, kWrite)) return EACCES;
  if (change.uid) node->uid = *change.uid;
  if (change.gid) node->gid = *change.gid;
  if (chowns && !node->is_dir()) node->mode = stripped(node->mode);
  if (change.mode) {
    node->mode = *change.mode;
    if (c.uid != 0 && !c.in_group(node->gid)) node->mode &= ~02000;
  }
  if (change.mtime) {
    node->mtime = *change.mtime;
    node->mtime_moved = false;
  }
  if (change.atime) node->atime = *change.atime;
  if (change.mtime_now) node->mtime_moved = true;
  node->ctime_moved = true;
  return 0;
}

int PosixModel::set_flags(const Caller& c, Ino ino, uint8_t flags) {
  if (c.uid != 0) return EPERM;
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  if (node->trashed()) return EPERM;
  node->flags = flags;
  node->ctime_moved = true;
  return 0;
}

int PosixModel::setxattr(const Caller& c, Ino ino, const std::string& name, const std::string& value,
                         XattrMode mode) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  if (node->flags & kFixed) return EPERM;
  if (!permits(c, *node, kWrite)) return EACCES;
  bool present = node->xattrs.contains(name);
  if (mode == XattrMode::create && present) return EEXIST;
  if (mode == XattrMode::replace && !present) return ENODATA;
  node->xattrs[name] = value;
  node->ctime_moved = true;
  return 0;
}

int PosixModel::removexattr(const Caller& c, Ino ino, const std::string& name) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  if (node->flags & kFixed) return EPERM;
  if (!permits(c, *node, kWrite)) return EACCES;
  if (!node->xattrs.erase(name)) return ENODATA;
  node->ctime_moved = true;
  return 0;
}

int PosixModel::open(const Caller& c, size_t client, Ino ino, int flags) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  int mode = flags & O_ACCMODE;
  int want = mode == O_RDONLY ? kRead : mode == O_WRONLY ? kWrite : kRead | kWrite;
  if (!permits(c, *node, want)) return EACCES;
  bool writes = mode != O_RDONLY;
  if (writes && ((node->flags & kFlagImmutable) || node->trashed())) return EPERM;
  if (writes && (node->flags & kFlagAppend) && !(flags & O_APPEND)) return EPERM;
  ++node->opens[client];
  return 0;
}

void PosixModel::close(size_t client, Ino ino) {
  ModelNode* node = find(ino);
  if (!node || --node->opens[client] > 0) return;
  bool kept = node->keepers.erase(client);
  if (kept && nlink(*node) == 0 && node->keepers.empty()) nodes_.erase(ino);
}

int PosixModel::write(Ino ino, uint64_t off, uint64_t len, uint64_t first_tag, Time mtime) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  if (!node->is_file()) return EPERM;
  for (uint64_t unit = 0; unit < len / kUnit; ++unit) node->units[off / kUnit + unit] = first_tag + unit;
  node->length = std::max(node->length, off + len);
  node->mtime = mtime;
  node->mtime_moved = false;
  node->ctime_moved = true;
  return 0;
}

int PosixModel::truncate(const Caller& c, size_t client, Ino ino, uint64_t length, bool by_handle,
                         bool kill_suidgid) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  if (!node->is_file()) return node->is_dir() ? EISDIR : EINVAL;
  if (node->flags & kFixed) return EPERM;
  if (node->trashed() && node->opens[client] == 0) return EPERM;
  if (!by_handle && !permits(c, *node, kWrite)) return EACCES;
  node->units.erase(node->units.lower_bound(length / kUnit), node->units.end());
  node->length = length;
  if (kill_suidgid) node->mode = stripped(node->mode);
  changed(ino);
  return 0;
}

int PosixModel::fallocate(const Caller& c, size_t client, Ino ino, int mode, uint64_t off, uint64_t len) {
  ModelNode* node = find(ino);
  if (!node) return ENOENT;
  if (node->type == FileType::fifo) return ESPIPE;
  if (!node->is_file()) return node->is_dir() ? EISDIR : ENODEV;
  if (node->flags & kFlagImmutable) return EPERM;
  if ((node->flags & kFlagAppend) && (mode & ~FALLOC_FL_KEEP_SIZE)) return EPERM;
  if (node->trashed() && node->opens[client] == 0) return EPERM;
  if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
    node->units.erase(node->units.lower_bound(off / kUnit), node->units.lower_bound((off + len) / kUnit));
  }
  if (!(mode & FALLOC_FL_KEEP_SIZE)) node->length = std::max(node->length, off + len);
  if (c.uid != 0) node->mode = stripped(node->mode);
  changed(ino);
  return 0;
}

int PosixModel::copy_range(const Caller& c, Ino in, uint64_t in_off, Ino out, uint64_t out_off,
                           uint64_t len) {
  ModelNode* from = find(in);
  ModelNode* to = find(out);
  if (!from || !to) return ENOENT;
  if (from->is_dir() || to->is_dir()) return EISDIR;
  if (!from->is_file() || !to->is_file()) return EINVAL;
  if (to->flags & kFixed) return EPERM;
  if (in_off >= from->length) return 0;
  len = std::min(len, from->length - in_off);
  if (in == out && in_off < out_off + len && out_off < in_off + len) return EINVAL;
  FakeData::Units copy(from->units.lower_bound(in_off / kUnit),
                       from->units.lower_bound((in_off + len) / kUnit));
  to->units.erase(to->units.lower_bound(out_off / kUnit), to->units.lower_bound((out_off + len) / kUnit));
  for (const auto& [unit, tag] : copy) to->units[unit - in_off / kUnit + out_off / kUnit] = tag;
  to->length = std::max(to->length, out_off + len);
  if (c.uid != 0) to->mode = stripped(to->mode);
  changed(out);
  return 0;
}

}  // namespace cider::meta::testing
