// Opening, creating, closing.
#include <fcntl.h>

#include "base/log.h"
#include "vfs/volume_file_system.h"

namespace cider::vfs {

Result<std::shared_ptr<OpenHandle>> VolumeFileSystem::find_file(Handle handle, Ino ino) {
  auto found = TRY(handles_.find(handle, ino));
  if (!found->inode || found->listing) return fail(EBADF);
  if (found->drops_pages && found->drops_pages.exchange(false)) kernel_.dropped(ino);
  return found;
}

// Makes the handle of a file that Meta counts as open. FLUSH is always wanted (no_flush stays false): it
// releases the fcntl locks of a process, and whether it will take some is not known here.
OpenReply VolumeFileSystem::opened(Ino ino, const Attr& attr, int flags) {
  const auto handle = handles_.add_file(ino, attr, flags);
  const bool keep = kernel_.opened(ino, attr);
  handle->drops_pages = !keep;
  return {.handle = handle->id, .keep_cache = keep};
}

// Whether a request failed with `code`, or met the trash, because another client has removed or replaced the
// file since the kernel found its name. With ESTALE the kernel looks the name up again.
bool VolumeFileSystem::removed_by_others(Ino ino, int code) {
  if (handles_.inode(ino)) return false;  // then it may be meant, by /proc/self/fd
  if (code == ENOENT) return true;
  if (code != EPERM || !kernel_.named_outside_trash(ino)) return false;
  const auto now = meta_.getattr(ino);
  return now && is_trash(now->parent);
}

Error VolumeFileSystem::stale_if_removed(Ino ino, const Error& error) {
  return removed_by_others(ino, error.code) ? Error(ESTALE) : error;
}

// The kernel appends where it last knew the end, and asks nobody: an open for appending must bring it the
// attributes. No answer to OPEN can, but that of the LOOKUP which follows ESTALE.
Result<OpenReply> VolumeFileSystem::open(const Caller& caller, Ino ino, int flags, bool kill_suidgid) {
  OpenReply reply = TRY(open_file(caller, ino, flags, kill_suidgid));
  if (!(flags & O_APPEND)) return reply;
  const bool looked_again = second_looks_.back(caller.pid);
  // Threads of another pid namespace all have the number 0.
  if (!reply.stale_attr || looked_again || caller.pid == 0) return reply;
  second_looks_.sent(caller.pid);
  handles_.remove(reply.handle, ino);
  if (!reply.keep_cache) kernel_.not_dropped(ino);
  meta_.close(ino);
  return fail(ESTALE);
}

Result<OpenReply> VolumeFileSystem::open_file(const Caller& caller, Ino ino, int flags, bool kill_suidgid) {
  if (is_internal(ino)) return open_internal(caller, ino, flags);
  uint64_t moment = changes_.now();
  Result<Attr> found = meta_.open(caller, ino, flags);
  if (!found && removed_by_others(ino, found.error().code)) return fail(ESTALE);
  Attr attr = TRY(std::move(found));
  if (is_trash(attr.parent) && removed_by_others(ino, EPERM)) {
    meta_.close(ino);
    return fail(ESTALE);
  }
  take_in(ino, attr, moment);  // this answer makes the kernel drop its pages
  // The handle comes first, so that what is committed from here on reaches it.
  const auto handle = handles_.add_file(ino, attr, flags);
  const auto give_up = [&](const Error& error) {
    handles_.remove(handle->id, ino);
    meta_.close(ino);
    return fail(error);
  };
  if (flags & O_TRUNC) {
    const auto truncated = truncate(caller, ino, 0, true, kill_suidgid);
    if (!truncated) return give_up(truncated.error());
    attr = *truncated;
  } else if (changes_.since(ino, moment)) {  // perhaps before the handle was there
    moment = changes_.now();
    const auto now = meta_.getattr(ino, caller.interrupt);
    if (!now) return give_up(now.error());
    attr = *now;
    take_in(ino, attr, moment);
  }
  const Pending pending = data_.pending(ino);
  OpenReply reply{.handle = handle->id, .keep_cache = kernel_.opened(ino, attr)};
  handle->drops_pages = !reply.keep_cache;
  if (!reply.keep_cache)
    data_.invalidate(ino);  // what is wrong with the kernel's pages is wrong with slice lists too
  reply.stale_attr = !kernel_.knows(ino, with_pending(attr, pending, pending));
  return reply;
}

Result<CreateReply> VolumeFileSystem::create(const Caller& caller, Ino parent, std::string_view name,
                                             uint32_t mode, int flags) {
  TRY(check_not_internal(parent, name, EEXIST));
  const Ino dir = inner(parent);
  bool created = false;
  meta::ChangedDirs dirs;
  const DirAttrs::Start start = dirs_.start();
  Result<meta::Node> answer =
      meta_.create(caller, dir, name, mode & 07777, (flags & O_EXCL) != 0, &created, flags, &dirs);
  const bool no_file = !answer && (answer.error().code == EISDIR || answer.error().code == EEXIST);
  if (no_file && !(flags & O_EXCL)) return fail(ESTALE);  // see open_present()
  if (!answer) return fail(stale_if_removed(dir, answer.error()));
  meta::Node node = *answer;
  if (created) {
    dirs_.changed(dir, dirs.attr(dir), start);
    return CreateReply{.entry = fresh_entry(node), .open = opened(node.ino, node.attr, flags)};
  }
  // Somebody else made it since the kernel looked. Meta counts it as open once already.
  Result<OpenReply> reply = open_present(caller, node, flags);
  meta_.close(node.ino);
  if (!reply) return fail(std::move(reply).error());
  if (flags & O_TRUNC) {
    const AttrReply now = TRY(getattr(caller, node.ino, reply->handle));
    node.attr = now.attr;
  }
  return CreateReply{.entry = TRY(found_entry(caller, dir, node, start.moment)), .open = *reply};
}

// The open part of a create. The kernel takes the answer for a new regular file and asks no permission, so we
// do, as far as we can: it does not tell a caller's groups. ESTALE makes it look the name up again and then
// open what it finds (follow the symlink, ask for permission ...), but only once: root and the owner, who
// need no groups, don't get it, so that two who make and remove one name in turn don't meet it twice.
Result<OpenReply> VolumeFileSystem::open_present(const Caller& caller, const meta::Node& node, int flags) {
  const bool knows_class = caller.check_permission || caller.is_root() || caller.uid == node.attr.uid;
  if (!knows_class) return fail(ESTALE);
  Caller checked = caller;
  checked.check_permission = true;
  return open_file(checked, node.ino, flags, !caller.is_root());
}

Result<CreateReply> VolumeFileSystem::tmpfile(const Caller& caller, Ino parent, uint32_t mode, int flags) {
  if (is_internal(parent)) return fail(ENOTDIR);
  const meta::Node node = TRY(meta_.tmpfile(caller, inner(parent), mode & 07777));
  return CreateReply{.entry = fresh_entry(node), .open = opened(node.ino, node.attr, flags)};
}

void VolumeFileSystem::unlock_all(const Caller& caller, Ino ino, uint64_t owner) {
  Caller system = caller;
  system.interrupt = {};
  const meta::PlockRange everything{
      .kind = meta::LockKind::unlock, .pid = caller.pid, .start = 0, .end = INT64_MAX};
  meta_.setlk(system, ino, owner, everything, false, [ino](Status status) {
    if (!status) log::warning("unlock inode " + std::to_string(ino) + ": " + status.error().to_string());
  });
}

// close(2): what was written is committed, and the process's fcntl locks on the file go, by whatever handle
// it took them.
Status VolumeFileSystem::flush(const Caller& caller, Ino ino, Handle handle, uint64_t lock_owner) {
  if (is_internal(ino)) return {};
  const auto file = TRY(find_file(handle, ino));
  Status flushed;
  if (file->writable() || data_.has_pending(ino)) flushed = data_.flush(ino, caller.interrupt);
  if (file->inode->forget_lock_owner(lock_owner)) unlock_all(caller, ino, lock_owner);
  TRY(check_locks(*file));
  return flushed;
}

void VolumeFileSystem::release(const Caller& caller, Ino ino, Handle handle,
                               std::optional<uint64_t> flock_owner) {
  const auto gone = handles_.remove(handle, ino);
  if (!gone || gone->internal) return;
  if (gone->drops_pages) kernel_.not_dropped(ino);  // the open was interrupted: else there was a FLUSH
  // Pages of a mapping may have been written after the last close(). Under a lock they must be committed
  // before it goes.
  if (flock_owner && data_.has_pending(ino)) {
    const Status flushed = data_.flush(ino, {});
    if (!flushed)
      log::warning("inode " + std::to_string(ino) + " at release: " + flushed.error().to_string());
  }
  data_.flush_in_background(ino);
  for (const uint64_t owner : gone->inode->forget_lock_owners_of(handle)) unlock_all(caller, ino, owner);
  if (flock_owner) {
    Caller system = caller;
    system.interrupt = {};
    meta_.flock(system, ino, *flock_owner, meta::LockKind::unlock, false, [ino](Status status) {
      if (!status) log::warning("unlock inode " + std::to_string(ino) + ": " + status.error().to_string());
    });
  }
  meta_.close(ino);
}

}  // namespace cider::vfs
