// Attributes, and the local view of them: an answer shows every write that this client has accepted,
// committed or not, and the kernel is not told to trust an answer that was read before a local change.
#include <algorithm>

#include "vfs/volume_file_system.h"

namespace cider::vfs {

namespace field = meta::field;
using meta::Fields;

// `before` and `after`: what was pending before and after `attr` was read from the engine. What was pending
// before may be committed now, so that `attr` may or may not show it.
Attr VolumeFileSystem::with_pending(Attr attr, const Pending& before, const Pending& after) {
  if (!attr.is_file()) return attr;
  for (const Pending* pending : {&before, &after}) {
    if (!*pending) continue;
    attr.length = std::max(attr.length, (*pending)->length);
    attr.mtime = std::max(attr.mtime, (*pending)->mtime);
    attr.ctime = std::max(attr.ctime, (*pending)->mtime);
  }
  if (before && after) attr.mtime = after->mtime;  // even where the engine's lies in the future
  return attr;
}

Duration VolumeFileSystem::entry_ttl(const Attr& attr) const {
  return attr.is_dir() ? options_.dir_entry_ttl : options_.entry_ttl;
}

AttrReply VolumeFileSystem::attr_reply(Ino ino, const Attr& attr, uint64_t moment, const Pending& before) {
  const bool foreign = learn(ino, attr, moment);
  AttrReply reply = changed_reply(ino, attr, before);
  if (foreign) kernel_.doubt_attr(ino);  // the notification may overtake this answer
  if (changes_.since(ino, moment)) reply.attr_ttl = Duration{0};
  return reply;
}

EntryReply VolumeFileSystem::entry_reply(Ino parent, Ino ino, const Attr& attr, uint64_t moment,
                                         const Pending& before) {
  const AttrReply self = attr_reply(ino, attr, moment, before);
  kernel_.named(ino, is_trash(parent));
  const bool name_changed = changes_.since(parent, moment);
  return {.ino = self.ino,
          .attr = self.attr,
          .entry_ttl = name_changed ? Duration{0} : entry_ttl(attr),
          .attr_ttl = self.attr_ttl};
}

AttrReply VolumeFileSystem::changed_reply(Ino ino, const Attr& attr, const Pending& before) {
  AttrReply reply{.ino = outer(ino),
                  .attr = with_pending(attr, before, data_.pending(ino)),
                  .attr_ttl = options_.attr_ttl};
  kernel_.told(ino, reply.attr);
  return reply;
}

Result<EntryReply> VolumeFileSystem::found_entry(const Caller& caller, Ino parent, const meta::Node& node,
                                                 uint64_t moment) {
  // In this order: what is committed after the engine's answer is either still pending here, or seen below.
  const Pending pending = data_.pending(node.ino);
  if (!changes_.since(node.ino, moment)) return entry_reply(parent, node.ino, node.attr, moment, pending);
  const AttrReply now = TRY(getattr(caller, outer(node.ino), {}));
  return EntryReply{.ino = now.ino, .attr = now.attr, .attr_ttl = now.attr_ttl};
}

EntryReply VolumeFileSystem::fresh_entry(const meta::Node& node) {
  kernel_.told(node.ino, node.attr);
  return {.ino = outer(node.ino),
          .attr = node.attr,
          .entry_ttl = entry_ttl(node.attr),
          .attr_ttl = options_.attr_ttl};
}

bool VolumeFileSystem::take_in(Ino ino, const Attr& attr, uint64_t moment) {
  const auto inode = handles_.inode(ino);
  if (!inode) return false;
  const bool foreign = inode->update([&](Attr& known) {
    if (changes_.since(ino, moment)) return false;  // the answer may be older than what is known
    if (known.ctime != attr.ctime) inode->may_have_capability = true;
    const bool differs = attr.is_file() && (known.mtime != attr.mtime || known.length != attr.length);
    known = attr;
    return differs;
  });
  if (foreign) distrust(ino);
  return foreign;
}

bool VolumeFileSystem::learn(Ino ino, const Attr& attr, uint64_t moment) {
  const bool foreign = take_in(ino, attr, moment);
  if (foreign) notify({.ino = outer(ino), .data = true});
  return foreign;
}

void VolumeFileSystem::changed(Ino ino, const Attr& attr, meta::Fields fields) {
  if (const auto inode = handles_.inode(ino)) {
    inode->update([&](Attr& known) {
      meta::copy_fields(&known, attr, fields);
      known.ctime = std::max(known.ctime, attr.ctime);
      changes_.mark(ino);
    });
  } else {
    changes_.mark(ino);
  }
}

// A commit found the file as `before`, which was known already unless somebody else changed it.
void VolumeFileSystem::found_before_commit(Ino ino, const Attr& before) {
  const auto inode = handles_.inode(ino);
  if (!inode) return;
  const Attr known = inode->attr();
  if (known.mtime != before.mtime || known.length != before.length) changed_by_others(ino);
}

void VolumeFileSystem::distrust(Ino ino) {
  data_.invalidate(ino);
  kernel_.distrust(ino);
}

void VolumeFileSystem::changed_by_others(Ino ino) {
  distrust(ino);
  notify({.ino = outer(ino), .data = true});
}

void VolumeFileSystem::committed(const MetaCatalog::Committed& commit) {
  if (commit.result) {
    found_before_commit(commit.ino, commit.result->before);
    changed(commit.ino, commit.result->attr, field::length | field::mtime);
    kernel_.moved_by_write(commit.ino, commit.result->before, commit.result->attr);
    return;
  }
  kernel_.distrust(commit.ino);  // its pages show what may be given up now
  if (commit.result.error().code == ENOSPC) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    full_until_.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  }
}

Result<Attr> VolumeFileSystem::attr_of_open_directory(Ino ino) const {
  const auto inode = handles_.inode(ino);
  if (!inode || !inode->attr().is_dir()) return fail(ENOENT);
  Attr attr = inode->attr();
  attr.nlink = 0;
  return attr;
}

// A file in the trash has one link there. For who opened it before, its last name is gone.
Attr VolumeFileSystem::as_by_handle(Ino ino, Attr attr) const {
  if (attr.is_file() && attr.nlink == 1 && is_trash(attr.parent) && handles_.inode(ino)) attr.nlink = 0;
  return attr;
}

Result<AttrReply> VolumeFileSystem::getattr(const Caller& caller, Ino ino, std::optional<Handle>) {
  if (is_internal(ino)) {
    const InternalNode* node = internal_.find(ino);
    if (node == nullptr) return fail(ENOENT);
    return AttrReply{.ino = ino, .attr = node->attr, .attr_ttl = options_.attr_ttl};
  }
  const Ino at = inner(ino);
  if (const auto known = dirs_.take(at)) {
    AttrReply reply = changed_reply(at, known->attr, {});
    reply.attr_ttl = std::chrono::duration_cast<Duration>(known->ttl);
    return reply;
  }
  constexpr int kTries = 3;
  for (int tries = 1;; ++tries) {
    const uint64_t moment = changes_.now();
    const Pending before = data_.pending(at);
    Result<Attr> attr = meta_.recent_attr(at, caller.interrupt);
    if (!attr && attr.error().code == ENOENT) {
      attr = attr_of_open_directory(at);  // removed, but a process still has it open
      if (attr) return AttrReply{.ino = ino, .attr = *attr};
    }
    if (!attr) return fail(stale_if_removed(at, attr.error()));
    if (!changes_.since(at, moment) || tries == kTries)
      return attr_reply(at, as_by_handle(at, *attr), moment, before);
  }
}

Result<Attr> VolumeFileSystem::truncate(const Caller& caller, Ino ino, uint64_t size, bool by_handle,
                                        bool kill_suidgid) {
  if (size > kMaxFileSize) return fail(EFBIG);
  Attr after;
  TRY(data_.truncate(ino, size, caller.interrupt, [&]() -> Status {
    after = TRY(meta_.truncate(caller, ino, size, by_handle, kill_suidgid));
    changed(ino, after, kResized);
    kernel_.moved(ino, after);
    return {};
  }));
  data_.invalidate(ino);
  return after;
}

Result<AttrReply> VolumeFileSystem::setattr(const Caller& caller, Ino ino, const SetAttr& set,
                                            std::optional<Handle> handle) {
  if (is_internal(ino)) return fail(EPERM);
  const Ino at = inner(ino);
  std::optional<Attr> after;
  Pending before;
  if (set.size) {
    if (handle) {
      const auto file = TRY(find_file(*handle, at));
      if (!file->writable()) return fail(EINVAL);
      TRY(check_locks(*file));
    }
    auto resized = truncate(caller, at, *set.size, handle.has_value(), set.kill_suidgid);
    if (!resized) return fail(stale_if_removed(at, resized.error()));
    after = *resized;
  }
  const meta::AttrChange change{.mode = set.mode,
                                .uid = set.uid,
                                .gid = set.gid,
                                .atime = set.atime,
                                .mtime = set.mtime,
                                .ctime = set.ctime,
                                .atime_now = set.atime_now,
                                .mtime_now = set.mtime_now,
                                .kill_suidgid = set.kill_suidgid};
  const bool sets_more = set.mode || set.uid || set.gid || set.atime || set.mtime || set.atime_now ||
                         set.mtime_now || (!set.size && (set.ctime || set.kill_suidgid));
  if (sets_more) {
    Fields fields = field::mode | field::uid | field::gid | field::acl | field::atime;
    if (set.mtime || set.mtime_now) fields |= field::mtime;
    const auto apply = [&]() -> Status {
      before = data_.pending(at);
      after = TRY(meta_.setattr(caller, at, change));
      changed(at, *after, fields);
      kernel_.moved_ctime(at, *after);
      return {};
    };
    // A write that was accepted before must not move the mtime that is set now when it is committed later.
    const bool after_writes = (set.mtime || set.mtime_now) && data_.has_pending(at);
    const Status done = after_writes ? data_.ordered(at, caller.interrupt, apply) : apply();
    if (!done) return fail(stale_if_removed(at, done.error()));
  }
  if (!after) return getattr(caller, ino, handle);
  return changed_reply(at, as_by_handle(at, *after), before);
}

// Writing to a file takes its suid and sgid bits. The kernel asks for it with every write of an ordinary
// user, so the bits known from the open decide first.
Status VolumeFileSystem::kill_suidgid(const Caller& caller, OpenInode& inode) {
  const uint16_t mode = inode.attr().mode;
  const bool has = (mode & 04000) != 0 || (mode & 02010) == 02010;
  if (!has) return {};
  Caller system = caller;
  system.check_permission = false;
  const Attr after = TRY(meta_.setattr(system, inode.ino(), {.kill_suidgid = true}));
  changed(inode.ino(), after, field::mode);
  kernel_.moved_ctime(inode.ino(), after);
  notify({.ino = outer(inode.ino())});
  return {};
}

// Capabilities go with any write, root's too; with HANDLE_KILLPRIV_V2 the kernel leaves that to us and has no
// flag for it.
Status VolumeFileSystem::kill_capability(OpenInode& inode) {
  if (!inode.may_have_capability.exchange(false)) return {};
  Status gone = meta_.remove_capability(inode.ino());
  if (!gone) inode.may_have_capability = true;
  return gone;
}

Result<StatFs> VolumeFileSystem::statfs(const Caller&, Ino) {
  const meta::VolumeUsage usage = TRY(meta_.usage());
  return StatFs{.total_bytes = usage.total_space,
                .available_bytes = usage.available_space,
                .total_inodes = usage.used_inodes + usage.available_inodes,
                .available_inodes = usage.available_inodes};
}

Status VolumeFileSystem::access(const Caller& caller, Ino ino, int mask) {
  if (!is_internal(ino)) return meta_.access(caller, inner(ino), mask);
  const InternalNode* node = internal_.find(ino);
  if (node == nullptr) return fail(ENOENT);
  if (caller.is_root()) return {};
  const int shift = caller.uid == node->attr.uid ? 6 : caller.in_group(node->attr.gid) ? 3 : 0;
  return (mask & ~(node->attr.mode >> shift) & 7) != 0 ? Status(fail(EACCES)) : Status{};
}

}  // namespace cider::vfs
