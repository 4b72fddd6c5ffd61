// Open directories and their listings.
#include <fcntl.h>
#include <unistd.h>

#include "vfs/volume_file_system.h"

namespace cider::vfs {

std::unique_ptr<DirStream> VolumeFileSystem::list_directory(Ino ino, Ino parent) {
  std::vector<meta::ListedEntry> head;
  head.push_back({.name = ".", .entry = {ino, FileType::directory}, .attr = {}});
  head.push_back({.name = "..", .entry = {parent, FileType::directory}, .attr = {}});
  if (ino == options_.root && !options_.hide_internal) {
    for (const InternalNode& node : internal_.listed()) {
      head.push_back({.name = node.name, .entry = {node.ino, node.attr.type}, .attr = node.attr});
    }
  }
  return std::make_unique<DirStream>(
      std::move(head),
      [this, ino](meta::DirCursor* cursor, size_t limit, bool with_attrs, const std::stop_token& stop) {
        return meta_.list_dir(ino, cursor, limit, with_attrs, stop);
      },
      [this] { return changes_.now(); });
}

Result<OpenReply> VolumeFileSystem::opendir(const Caller& caller, Ino ino, int flags) {
  if (is_internal(ino)) return fail(ENOTDIR);
  const Ino at = inner(ino);
  const uint64_t moment = changes_.now();
  const auto found = meta_.getattr(at, caller.interrupt);
  if (!found) return fail(stale_if_removed(at, found.error()));
  const Attr& attr = *found;
  if (!attr.is_dir()) return fail(ENOTDIR);
  if (caller.check_permission)
    TRY(meta_.access(caller, at, (flags & O_ACCMODE) == O_RDONLY ? R_OK : R_OK | W_OK));
  learn(at, attr, moment);
  const Ino parent = at == options_.root ? at : attr.parent;
  const auto handle = handles_.add_directory(at, attr, list_directory(at, parent));
  return OpenReply{.handle = handle->id, .cache_dir = options_.readdir_cache};
}

// Of an open file newer attributes may be known than a page has that was read before.
bool VolumeFileSystem::is_as_listed(Ino ino, const Attr& attr, uint64_t moment) {
  if (changes_.since(ino, moment)) return false;
  const auto open = handles_.inode(ino);
  return !open || open->attr() == attr;
}

Status VolumeFileSystem::readdir(const Caller& caller, Ino ino, Handle handle, uint64_t off, bool plus,
                                 const std::function<bool(const DirEntry&)>& sink) {
  const Ino at = inner(ino);
  const auto dir = TRY(handles_.find(handle, at));
  if (!dir->listing) return fail(ENOTDIR);
  return dir->listing->list(off, plus, caller.interrupt, [&](const DirStream::Item& item) {
    const meta::ListedEntry& entry = *item.entry;
    DirEntry out{.name = entry.name,
                 .ino = outer(entry.entry.ino),
                 .type = entry.entry.type,
                 .next_offset = item.next_offset};
    EntryReply reply;
    // A name may be gone since the page was read, or a file have grown: after a change, or a while, the
    // kernel looks the name up itself.
    if (plus && entry.attr && item.age < options_.listed_attrs_for && !changes_.since(at, item.moment)) {
      const Ino found = entry.entry.ino;
      if (is_internal(found)) {
        reply = {.ino = found,
                 .attr = *entry.attr,
                 .entry_ttl = options_.entry_ttl,
                 .attr_ttl = options_.attr_ttl};
        out.plus = &reply;
      } else if (const Pending pending = data_.pending(found);
                 is_as_listed(found, *entry.attr, item.moment)) {
        reply = entry_reply(at, found, *entry.attr, item.moment, pending);
        out.plus = &reply;
      }
    }
    const bool taken = sink(out);
    if (!taken && out.plus) kernel_.doubt_attr(entry.entry.ino);  // it was not told after all
    return taken;
  });
}

Status VolumeFileSystem::fsyncdir(const Caller&, Ino, Handle) {
  return data_.sync_metadata([&] { return meta_.store().sync(); });
}

void VolumeFileSystem::releasedir(const Caller&, Ino ino, Handle handle) {
  handles_.remove(handle, inner(ino));
}

}  // namespace cider::vfs
