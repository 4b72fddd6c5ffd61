// Names: lookup, making, linking, renaming and removing.
#include <fcntl.h>
#include <sys/stat.h>

#include "vfs/volume_file_system.h"

namespace cider::vfs {

Status VolumeFileSystem::check_not_internal(Ino parent, std::string_view name, int code) const {
  if (is_internal(parent)) return fail(ENOTDIR);
  if (parent == kRootIno && internal_.find(name, true) != nullptr) return fail(code);
  return {};
}

Result<EntryReply> VolumeFileSystem::lookup_dots(const Caller& caller, Ino parent, std::string_view name) {
  const AttrReply self = TRY(getattr(caller, parent, {}));
  if (name == "." || parent == kRootIno) {
    return EntryReply{.ino = self.ino, .attr = self.attr, .attr_ttl = self.attr_ttl};
  }
  const AttrReply up = TRY(getattr(caller, outer(self.attr.parent), {}));
  return EntryReply{.ino = up.ino, .attr = up.attr, .attr_ttl = up.attr_ttl};
}

Result<EntryReply> VolumeFileSystem::lookup(const Caller& caller, Ino parent, std::string_view name) {
  if (name == "." || name == "..") return lookup_dots(caller, parent, name);
  if (is_internal(parent)) return fail(ENOTDIR);
  if (const InternalNode* node = internal_.find(name, parent == kRootIno)) return internal_entry(*node);
  const Ino dir = inner(parent);
  const uint64_t moment = changes_.now();
  const Result<meta::Node> node = meta_.lookup(caller, dir, name);
  if (!node) {
    if (node.error().code != ENOENT || options_.negative_ttl == Duration{0}) return fail(node.error());
    return EntryReply{.entry_ttl = changes_.since(dir, moment) ? Duration{0} : options_.negative_ttl};
  }
  return found_entry(caller, dir, *node, moment);
}

Result<EntryReply> VolumeFileSystem::make(const Caller& caller, Ino parent, std::string_view name,
                                          const meta::NewNode& node) {
  TRY(check_not_internal(parent, name, EEXIST));
  meta::ChangedDirs dirs;
  const DirAttrs::Start start = dirs_.start();
  const auto made = meta_.mknod(caller, inner(parent), name, node, &dirs);
  if (!made) return fail(stale_if_removed(inner(parent), made.error()));
  dirs_.changed(inner(parent), dirs.attr(inner(parent)), start);
  return fresh_entry(*made);
}

Result<EntryReply> VolumeFileSystem::mknod(const Caller& caller, Ino parent, std::string_view name,
                                           uint32_t mode, uint32_t rdev) {
  meta::NewNode node{.mode = static_cast<uint16_t>(mode & 07777), .rdev = rdev};
  const uint32_t type = mode & S_IFMT;
  if (!meta::type_from_bits(type == 0 ? S_IFREG : type, &node.type)) return fail(EINVAL);
  if (node.type == FileType::directory || node.type == FileType::symlink) return fail(EPERM);
  return make(caller, parent, name, node);
}

Result<EntryReply> VolumeFileSystem::mkdir(const Caller& caller, Ino parent, std::string_view name,
                                           uint32_t mode) {
  const meta::NewNode node{.type = FileType::directory, .mode = static_cast<uint16_t>(mode & 07777)};
  return make(caller, parent, name, node);
}

Result<EntryReply> VolumeFileSystem::symlink(const Caller& caller, Ino parent, std::string_view name,
                                             std::string_view target) {
  const meta::NewNode node{.type = FileType::symlink, .mode = 0777, .target = target};
  return make(caller, parent, name, node);
}

Result<EntryReply> VolumeFileSystem::link(const Caller& caller, Ino ino, Ino new_parent,
                                          std::string_view new_name) {
  if (is_internal(ino)) return fail(EPERM);
  TRY(check_not_internal(new_parent, new_name, EPERM));
  const Ino dir = inner(new_parent);
  const Pending pending = data_.pending(ino);
  meta::ChangedDirs dirs;
  const DirAttrs::Start start = dirs_.start();
  const meta::Node node = TRY(meta_.link(caller, ino, dir, new_name, &dirs));
  dirs_.changed(dir, dirs.attr(dir), start);
  changed(ino, node.attr, meta::field::nlink | meta::field::parent);
  kernel_.moved_ctime(ino, node.attr);
  const AttrReply self = changed_reply(ino, node.attr, pending);
  return EntryReply{
      .ino = self.ino, .attr = self.attr, .entry_ttl = entry_ttl(node.attr), .attr_ttl = self.attr_ttl};
}

Status VolumeFileSystem::unlink(const Caller& caller, Ino parent, std::string_view name) {
  TRY(check_not_internal(parent, name, EPERM));
  meta::ChangedDirs dirs;
  const DirAttrs::Start start = dirs_.start();
  const Ino ino = TRY(meta_.unlink(caller, inner(parent), name, false, &dirs));
  dirs_.changed(inner(parent), dirs.attr(inner(parent)), start);
  changes_.mark(ino);
  return {};
}

Status VolumeFileSystem::rmdir(const Caller& caller, Ino parent, std::string_view name) {
  TRY(check_not_internal(parent, name, EPERM));
  meta::ChangedDirs dirs;
  const DirAttrs::Start start = dirs_.start();
  const Ino ino = TRY(meta_.rmdir(caller, inner(parent), name, false, &dirs));
  dirs_.changed(inner(parent), dirs.attr(inner(parent)), start);
  changes_.mark(ino);
  return {};
}

Status VolumeFileSystem::rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent,
                                std::string_view new_name, uint32_t flags) {
  TRY(check_not_internal(parent, name, EPERM));
  TRY(check_not_internal(new_parent, new_name, EPERM));
  constexpr uint32_t kKnown = kRenameNoReplace | kRenameExchange | kRenameWhiteout;
  if ((flags & ~kKnown) != 0) return fail(EINVAL);
  const Ino from = inner(parent);
  const Ino to = inner(new_parent);
  meta::ChangedDirs dirs;
  const DirAttrs::Start start = dirs_.start();
  const meta::Renamed renamed = TRY(meta_.rename(caller, from, name, to, new_name, flags, &dirs));
  dirs_.changed(from, dirs.attr(from), start);
  if (to != from) dirs_.changed(to, dirs.attr(to), start);
  if (renamed.replaced != 0) changes_.mark(renamed.replaced);
  if (renamed.moved.ino != 0) {
    changed(renamed.moved.ino, renamed.moved.attr, meta::field::nlink | meta::field::parent);
    kernel_.moved_ctime(renamed.moved.ino, renamed.moved.attr);
  }
  return {};
}

Result<std::string> VolumeFileSystem::readlink(const Caller& caller, Ino ino) {
  return meta_.readlink(caller, ino);
}

}  // namespace cider::vfs
