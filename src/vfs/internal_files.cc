#include "vfs/internal_files.h"

#include <unistd.h>

#include "base/clock.h"

namespace cider::vfs {
namespace {

InternalNode make(std::string prefix, std::string_view name, Ino ino, uint16_t mode) {
  InternalNode node{.ino = ino, .name = std::move(prefix.append(name))};
  meta::Attr& attr = node.attr;
  attr.type = ino == kTrashIno ? meta::FileType::directory : meta::FileType::file;
  attr.mode = mode;
  attr.nlink = ino == kTrashIno ? 2 : 1;
  attr.uid = ino == kTrashIno ? 0 : geteuid();
  attr.gid = ino == kTrashIno ? 0 : getegid();
  attr.length = ino == kTrashIno ? meta::kDirectoryLength : 0;
  attr.parent = kRootIno;
  attr.atime = attr.mtime = attr.ctime = Clock::system().now();
  return node;
}

}  // namespace

InternalFiles::InternalFiles(bool prefixed, bool has_trash) {
  const std::string prefix = prefixed ? ".jfs" : "";
  control_ = make(prefix, ".control", kControlIno, 0666);
  listed_.push_back(make(prefix, ".accesslog", kAccessLogIno, 0400));
  listed_.push_back(make(prefix, ".stats", kStatsIno, 0444));
  listed_.push_back(make(prefix, ".config", kConfigIno, 0400));
  if (has_trash) listed_.push_back(make(prefix, ".trash", kTrashIno, 0555));
}

const InternalNode* InternalFiles::find(std::string_view name, bool in_root) const {
  if (!name.starts_with('.')) return nullptr;
  if (name == control_.name) return &control_;
  if (!in_root) return nullptr;
  for (const InternalNode& node : listed_) {
    if (name == node.name) return &node;
  }
  return nullptr;
}

const InternalNode* InternalFiles::find(Ino ino) const {
  if (ino == kControlIno) return &control_;
  for (const InternalNode& node : listed_) {
    if (ino == node.ino) return &node;
  }
  return nullptr;
}

}  // namespace cider::vfs
