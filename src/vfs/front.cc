#include "vfs/front.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/log.h"
#include "vfs/internal_files.h"

namespace cider::vfs {
namespace {

constexpr auto kSlow = std::chrono::seconds(10);

std::string format(const char* form, auto... values) {
  char text[512];
  const int n = snprintf(text, sizeof text, form, values...);
  return {text, static_cast<size_t>(std::clamp(n, 0, static_cast<int>(sizeof text) - 1))};
}

using ull = unsigned long long;

std::string name_of(Ino parent, std::string_view name) {
  return format("(%llu,", ull{parent}) + log_text(name) + ")";
}

std::string attr_text(Ino ino, const Attr& a) {
  const uint32_t mode = meta::type_bits(a.type) | a.mode;
  return format(": (%llu,[%s:0%06o,%u,%u,%u,%lld,%lld,%lld,%llu])", ull{ino}, log_mode(mode).c_str(), mode,
                a.nlink, a.uid, a.gid, static_cast<long long>(a.atime.sec),
                static_cast<long long>(a.mtime.sec), static_cast<long long>(a.ctime.sec), ull{a.length});
}
std::string text(const Result<EntryReply>& r) {
  return !r ? ":" : r->ino == 0 ? ": (absent)" : attr_text(r->ino, r->attr);
}
std::string text(const Result<AttrReply>& r) {
  return r ? attr_text(r->ino, r->attr) : ":";
}
std::string text(const Result<CreateReply>& r) {
  return r ? attr_text(r->entry.ino, r->entry.attr) + format(" [fh:%llu]", ull{r->open.handle}) : ":";
}
std::string text(const Result<OpenReply>& r) {
  return r ? format(" [fh:%llu]", ull{r->handle}) : "";
}
std::string text(const Result<std::string>& r) {
  return format(": (%zu)", r ? r->size() : 0);
}
std::string text(const Result<uint64_t>& r) {
  return format(": (%llu)", r ? ull{*r} : ull{0});
}

std::string mode_text(uint32_t mode) {
  return log_mode(mode) + format(":0%04o", mode & 07777);
}

std::string set_text(const SetAttr& set) {
  std::string out;
  const auto add = [&](const std::string& part) { out += (out.empty() ? "" : ",") + part; };
  if (set.mode) add(format("mode=0%04o", *set.mode));
  if (set.uid) add(format("uid=%u", *set.uid));
  if (set.gid) add(format("gid=%u", *set.gid));
  if (set.atime_now) add("atime=NOW");
  if (set.atime) add(format("atime=%lld", static_cast<long long>(set.atime->sec)));
  if (set.mtime_now) add("mtime=NOW");
  if (set.mtime) add(format("mtime=%lld", static_cast<long long>(set.mtime->sec)));
  if (set.size) add(format("size=%llu", ull{*set.size}));
  return out;
}

char letter(LockType type) {
  return type == LockType::read ? 'R' : type == LockType::write ? 'W' : 'U';
}

}  // namespace

Front::Front(FileSystem& inner, AccessLog& log, const VfsOptions& options, MetricSet& metrics)
    : inner_(inner),
      log_(log),
      options_(options),
      maps_callers_(options.umask || options.root_squash || options.all_squash),
      metrics_(metrics),
      latency_(metrics.histogram("fuse_ops_durations_histogram_seconds")),
      read_size_(metrics.histogram("fuse_read_size_bytes", 4096)),
      written_size_(metrics.histogram("fuse_written_size_bytes", 4096)) {
  for (size_t kind = 0; kind < kKinds; ++kind) {
    const std::string name(kNames[kind]);
    ops_[kind] = {&metrics.counter("fuse_ops_total_" + name),
                  &metrics.counter("fuse_ops_durations_seconds_" + name)};
  }
}

std::optional<Caller> Front::stand_in(const Caller& caller) const {
  if (!maps_callers_) return std::nullopt;
  Caller other = caller;
  if (options_.umask) other.umask = *options_.umask;
  const auto& account = options_.all_squash ? options_.all_squash
                        : caller.is_root()  ? options_.root_squash
                                            : std::nullopt;
  if (account) {
    other.uid = account->uid;
    other.gid = account->gid;
    other.groups.clear();
    other.check_permission = true;  // the kernel has checked somebody else
  }
  return other;
}

void Front::count(Kind kind, int error, std::chrono::duration<double> took) {
  ops_[kind].total->add();
  ops_[kind].seconds->add(took.count());
  latency_.observe(took.count());
  if (error == 0) return;
  std::atomic<Counter*>& counter = errors_[std::min<size_t>(static_cast<size_t>(error), errors_.size() - 1)];
  if (counter.load(std::memory_order_relaxed) == nullptr) {
    const char* name = strerrorname_np(error);
    counter = &metrics_.counter(std::string("fuse_ops_io_errors_") + (name != nullptr ? name : "other"));
  }
  counter.load(std::memory_order_relaxed)->add();
}

template <class Describe>
void Front::record(Kind kind, const Caller& caller, int error, Moment began, Describe&& describe) {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  count(kind, error, took);
  const bool slow = took >= kSlow && caller.pid != 0;
  if (!slow && !log_.active()) return;
  const std::string line = std::string(kNames[kind]) + " " + describe();
  if (slow)
    log::info("slow operation: " + line + " - " + log_result(error) + format(" <%.6f>", took.count()));
  if (log_.active()) log_.write(caller, line, error, took);
}

template <class Operation, class Describe>
auto Front::pass(Kind kind, const Caller& caller, Operation&& operation, Describe&& describe) {
  const Moment began = std::chrono::steady_clock::now();
  const std::optional<Caller> other = stand_in(caller);
  auto result = operation(other ? *other : caller);
  record(kind, caller, code_of(result), began, [&] { return describe(result); });
  return result;
}

Result<EntryReply> Front::lookup(const Caller& caller, Ino parent, std::string_view name) {
  return pass(
      kLookup, caller, [&](const Caller& c) { return inner_.lookup(c, parent, name); },
      [&](const auto& r) { return name_of(parent, name) + text(r); });
}

Result<AttrReply> Front::getattr(const Caller& caller, Ino ino, std::optional<Handle> handle) {
  return pass(
      kGetattr, caller, [&](const Caller& c) { return inner_.getattr(c, ino, handle); },
      [&](const auto& r) { return format("(%llu)", ull{ino}) + text(r); });
}

Result<AttrReply> Front::setattr(const Caller& caller, Ino ino, const SetAttr& set,
                                 std::optional<Handle> handle) {
  return pass(
      kSetattr, caller, [&](const Caller& c) { return inner_.setattr(c, ino, set, handle); },
      [&](const auto& r) {
        return format("(%llu[%llu],[", ull{ino}, ull{handle.value_or(0)}) + set_text(set) + "])" + text(r);
      });
}

Result<std::string> Front::readlink(const Caller& caller, Ino ino) {
  return pass(
      kReadlink, caller, [&](const Caller& c) { return inner_.readlink(c, ino); },
      [&](const auto& r) { return format("(%llu): (", ull{ino}) + log_text(r ? *r : "") + ")"; });
}

Result<EntryReply> Front::mknod(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                                uint32_t rdev) {
  return pass(
      kMknod, caller, [&](const Caller& c) { return inner_.mknod(c, parent, name, mode, rdev); },
      [&](const auto& r) {
        return format("(%llu,", ull{parent}) + log_text(name) + "," + mode_text(mode) +
               format(",0x%08X)", rdev) + text(r);
      });
}

Result<EntryReply> Front::mkdir(const Caller& caller, Ino parent, std::string_view name, uint32_t mode) {
  return pass(
      kMkdir, caller, [&](const Caller& c) { return inner_.mkdir(c, parent, name, mode); },
      [&](const auto& r) {
        return format("(%llu,", ull{parent}) + log_text(name) + "," + mode_text(mode) + ")" + text(r);
      });
}

Result<EntryReply> Front::symlink(const Caller& caller, Ino parent, std::string_view name,
                                  std::string_view target) {
  return pass(
      kSymlink, caller, [&](const Caller& c) { return inner_.symlink(c, parent, name, target); },
      [&](const auto& r) {
        return format("(%llu,", ull{parent}) + log_text(name) + "," + log_text(target) + ")" + text(r);
      });
}

Result<EntryReply> Front::link(const Caller& caller, Ino ino, Ino new_parent, std::string_view new_name) {
  return pass(
      kLink, caller, [&](const Caller& c) { return inner_.link(c, ino, new_parent, new_name); },
      [&](const auto& r) {
        return format("(%llu,%llu,", ull{ino}, ull{new_parent}) + log_text(new_name) + ")" + text(r);
      });
}

Status Front::unlink(const Caller& caller, Ino parent, std::string_view name) {
  return pass(
      kUnlink, caller, [&](const Caller& c) { return inner_.unlink(c, parent, name); },
      [&](const auto&) { return name_of(parent, name); });
}

Status Front::rmdir(const Caller& caller, Ino parent, std::string_view name) {
  return pass(
      kRmdir, caller, [&](const Caller& c) { return inner_.rmdir(c, parent, name); },
      [&](const auto&) { return name_of(parent, name); });
}

Status Front::rename(const Caller& caller, Ino parent, std::string_view name, Ino new_parent,
                     std::string_view new_name, uint32_t flags) {
  return pass(
      kRename, caller,
      [&](const Caller& c) { return inner_.rename(c, parent, name, new_parent, new_name, flags); },
      [&](const auto&) {
        return format("(%llu,", ull{parent}) + log_text(name) + format(",%llu,", ull{new_parent}) +
               log_text(new_name) + format(",%u)", flags);
      });
}

Result<OpenReply> Front::open(const Caller& caller, Ino ino, int flags, bool kill_suidgid) {
  if (ino == kAccessLogIno) return inner_.open(caller, ino, flags, kill_suidgid);
  return pass(
      kOpen, caller, [&](const Caller& c) { return inner_.open(c, ino, flags, kill_suidgid); },
      [&](const auto& r) { return format("(%llu,%#x)", ull{ino}, static_cast<unsigned>(flags)) + text(r); });
}

Result<CreateReply> Front::create(const Caller& caller, Ino parent, std::string_view name, uint32_t mode,
                                  int flags) {
  return pass(
      kCreate, caller, [&](const Caller& c) { return inner_.create(c, parent, name, mode, flags); },
      [&](const auto& r) {
        return format("(%llu,", ull{parent}) + log_text(name) + "," + mode_text(mode) + ")" + text(r);
      });
}

Result<CreateReply> Front::tmpfile(const Caller& caller, Ino parent, uint32_t mode, int flags) {
  return pass(
      kTmpfile, caller, [&](const Caller& c) { return inner_.tmpfile(c, parent, mode, flags); },
      [&](const auto& r) { return format("(%llu,", ull{parent}) + mode_text(mode) + ")" + text(r); });
}

Result<BufferChain> Front::read(const Caller& caller, Ino ino, Handle handle, uint64_t off, uint32_t size) {
  if (ino == kAccessLogIno) return inner_.read(caller, ino, handle, off, size);
  return pass(
      kRead, caller,
      [&](const Caller& c) {
        auto data = inner_.read(c, ino, handle, off, size);
        if (data) read_size_.observe(static_cast<double>(total_size(*data)));
        return data;
      },
      [&](const auto& r) {
        return format("(%llu,%u,%llu,%llu): (%zu)", ull{ino}, size, ull{off}, ull{handle},
                      r ? total_size(*r) : 0);
      });
}

void Front::write(const Caller& caller, Ino ino, Handle handle, uint64_t off, Buffer data, bool kill_suidgid,
                  Completion<uint32_t> done) {
  const Moment began = std::chrono::steady_clock::now();
  const std::optional<Caller> other = stand_in(caller);
  const size_t size = data.size();
  // The caller's interrupt ends with the request; only its identity is wanted when the answer comes.
  const Caller who{.uid = caller.uid, .gid = caller.gid, .pid = caller.pid};
  inner_.write(other ? *other : caller, ino, handle, off, std::move(data), kill_suidgid,
               [=, this, done = std::move(done)](Result<uint32_t> result) mutable {
                 if (result) written_size_.observe(static_cast<double>(size));
                 record(kWrite, who, code_of(result), began, [&] {
                   return format("(%llu,%zu,%llu,%llu)", ull{ino}, size, ull{off}, ull{handle});
                 });
                 done(std::move(result));
               });
}

Status Front::flush(const Caller& caller, Ino ino, Handle handle, uint64_t lock_owner) {
  if (ino == kAccessLogIno) return inner_.flush(caller, ino, handle, lock_owner);
  return pass(
      kFlush, caller, [&](const Caller& c) { return inner_.flush(c, ino, handle, lock_owner); },
      [&](const auto&) { return format("(%llu,%llu,%016llX)", ull{ino}, ull{handle}, ull{lock_owner}); });
}

Status Front::fsync(const Caller& caller, Ino ino, Handle handle, bool data_only) {
  return pass(
      kFsync, caller, [&](const Caller& c) { return inner_.fsync(c, ino, handle, data_only); },
      [&](const auto&) { return format("(%llu,%d)", ull{ino}, data_only ? 1 : 0); });
}

void Front::release(const Caller& caller, Ino ino, Handle handle, std::optional<uint64_t> flock_owner) {
  if (ino == kAccessLogIno) return inner_.release(caller, ino, handle, flock_owner);
  const Moment began = std::chrono::steady_clock::now();
  inner_.release(caller, ino, handle, flock_owner);
  record(kRelease, caller, 0, began, [&] { return format("(%llu,%llu)", ull{ino}, ull{handle}); });
}

Result<OpenReply> Front::opendir(const Caller& caller, Ino ino, int flags) {
  return pass(
      kOpendir, caller, [&](const Caller& c) { return inner_.opendir(c, ino, flags); },
      [&](const auto& r) { return format("(%llu)", ull{ino}) + text(r); });
}

Status Front::readdir(const Caller& caller, Ino ino, Handle handle, uint64_t off, bool plus,
                      const std::function<bool(const DirEntry&)>& sink) {
  size_t entries = 0;
  const auto counting = [&](const DirEntry& entry) {
    const bool taken = sink(entry);
    entries += taken ? 1 : 0;
    return taken;
  };
  return pass(
      kReaddir, caller, [&](const Caller& c) { return inner_.readdir(c, ino, handle, off, plus, counting); },
      [&](const auto&) {
        return format("(%llu,%llu,%s): (%zu)", ull{ino}, ull{off}, plus ? "true" : "false", entries);
      });
}

Status Front::fsyncdir(const Caller& caller, Ino ino, Handle handle) {
  return pass(
      kFsyncdir, caller, [&](const Caller& c) { return inner_.fsyncdir(c, ino, handle); },
      [&](const auto&) { return format("(%llu)", ull{ino}); });
}

void Front::releasedir(const Caller& caller, Ino ino, Handle handle) {
  const Moment began = std::chrono::steady_clock::now();
  inner_.releasedir(caller, ino, handle);
  record(kReleasedir, caller, 0, began, [&] { return format("(%llu)", ull{ino}); });
}

Result<StatFs> Front::statfs(const Caller& caller, Ino ino) {
  return pass(
      kStatfs, caller, [&](const Caller& c) { return inner_.statfs(c, ino); },
      [&](const Result<StatFs>& r) {
        const StatFs s = r ? *r : StatFs{};
        return format("(%llu): (%llu,%llu,%llu,%llu)", ull{ino}, ull{s.total_bytes - s.available_bytes},
                      ull{s.available_bytes}, ull{s.total_inodes - s.available_inodes},
                      ull{s.available_inodes});
      });
}

Status Front::access(const Caller& caller, Ino ino, int mask) {
  return pass(
      kAccess, caller, [&](const Caller& c) { return inner_.access(c, ino, mask); },
      [&](const auto&) { return format("(%llu,0x%X)", ull{ino}, static_cast<unsigned>(mask)); });
}

Result<std::string> Front::getxattr(const Caller& caller, Ino ino, std::string_view name) {
  return pass(
      kGetxattr, caller, [&](const Caller& c) { return inner_.getxattr(c, ino, name); },
      [&](const auto& r) { return name_of(ino, name) + text(r); });
}

Result<std::vector<std::string>> Front::listxattr(const Caller& caller, Ino ino) {
  return pass(
      kListxattr, caller, [&](const Caller& c) { return inner_.listxattr(c, ino); },
      [&](const auto& r) { return format("(%llu): (%zu)", ull{ino}, r ? r->size() : 0); });
}

Status Front::setxattr(const Caller& caller, Ino ino, std::string_view name, std::string_view value,
                       XattrFlags flags) {
  return pass(
      kSetxattr, caller, [&](const Caller& c) { return inner_.setxattr(c, ino, name, value, flags); },
      [&](const auto&) {
        return format("(%llu,", ull{ino}) + log_text(name) +
               format(",%zu,%d)", value.size(),
                      flags.create    ? 1
                      : flags.replace ? 2
                                      : 0);
      });
}

Status Front::removexattr(const Caller& caller, Ino ino, std::string_view name) {
  return pass(
      kRemovexattr, caller, [&](const Caller& c) { return inner_.removexattr(c, ino, name); },
      [&](const auto&) { return name_of(ino, name); });
}

Status Front::fallocate(const Caller& caller, Ino ino, Handle handle, int mode, uint64_t off, uint64_t len) {
  return pass(
      kFallocate, caller, [&](const Caller& c) { return inner_.fallocate(c, ino, handle, mode, off, len); },
      [&](const auto&) { return format("(%llu,%d,%llu,%llu)", ull{ino}, mode, ull{off}, ull{len}); });
}

Result<uint64_t> Front::copy_file_range(const Caller& caller, Ino in, Handle in_handle, uint64_t in_off,
                                        Ino out, Handle out_handle, uint64_t out_off, uint64_t len) {
  return pass(
      kCopyFileRange, caller,
      [&](const Caller& c) {
        return inner_.copy_file_range(c, in, in_handle, in_off, out, out_handle, out_off, len);
      },
      [&](const auto& r) {
        return format("(%llu,%llu,%llu,%llu,%llu)", ull{in}, ull{in_off}, ull{out}, ull{out_off}, ull{len}) +
               text(r);
      });
}

Result<uint64_t> Front::lseek(const Caller& caller, Ino ino, Handle handle, uint64_t off, int whence) {
  return pass(
      kLseek, caller, [&](const Caller& c) { return inner_.lseek(c, ino, handle, off, whence); },
      [&](const auto& r) { return format("(%llu,%llu,%d)", ull{ino}, ull{off}, whence) + text(r); });
}

Result<FileLock> Front::getlk(const Caller& caller, Ino ino, Handle handle, uint64_t owner,
                              const FileLock& lock) {
  return pass(
      kGetlk, caller, [&](const Caller& c) { return inner_.getlk(c, ino, handle, owner, lock); },
      [&](const Result<FileLock>& r) {
        const FileLock l = r ? *r : FileLock{};
        return format("(%llu,%llu,%016llX): (%llu,%llu,%c,%u)", ull{ino}, ull{handle}, ull{owner},
                      ull{l.start}, ull{l.end}, letter(l.type), l.pid);
      });
}

void Front::setlk(const Caller& caller, Ino ino, Handle handle, uint64_t owner, const FileLock& lock,
                  bool wait, Completion<void> done) {
  const Moment began = std::chrono::steady_clock::now();
  const std::optional<Caller> other = stand_in(caller);
  const Caller who{.uid = caller.uid, .gid = caller.gid, .pid = caller.pid};
  inner_.setlk(other ? *other : caller, ino, handle, owner, lock, wait,
               [=, this, done = std::move(done)](Status status) mutable {
                 record(kSetlk, who, code_of(status), began, [&] {
                   return format("(%llu,%llu,%016llX,%llu,%llu,%c,%s,%u)", ull{ino}, ull{handle}, ull{owner},
                                 ull{lock.start}, ull{lock.end}, letter(lock.type), wait ? "true" : "false",
                                 lock.pid);
                 });
                 done(std::move(status));
               });
}

void Front::flock(const Caller& caller, Ino ino, Handle handle, uint64_t owner, LockType type, bool wait,
                  Completion<void> done) {
  const Moment began = std::chrono::steady_clock::now();
  const std::optional<Caller> other = stand_in(caller);
  const Caller who{.uid = caller.uid, .gid = caller.gid, .pid = caller.pid};
  inner_.flock(other ? *other : caller, ino, handle, owner, type, wait,
               [=, this, done = std::move(done)](Status status) mutable {
                 record(kFlock, who, code_of(status), began, [&] {
                   return format("(%llu,%llu,%016llX,%c,%s)", ull{ino}, ull{handle}, ull{owner}, letter(type),
                                 wait ? "true" : "false");
                 });
                 done(std::move(status));
               });
}

Result<std::string> Front::ioctl(const Caller& caller, Ino ino, Handle handle, uint32_t command,
                                 std::string_view in, uint32_t out_size) {
  return pass(
      kIoctl, caller, [&](const Caller& c) { return inner_.ioctl(c, ino, handle, command, in, out_size); },
      [&](const auto&) { return format("(%llu,0x%X)", ull{ino}, command); });
}

}  // namespace cider::vfs
