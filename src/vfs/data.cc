// Reading, writing, and what changes a file's data as a whole.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "vfs/volume_file_system.h"

namespace cider::vfs {
namespace {

BufferChain as_chain(const std::string& text) {
  if (text.empty()) return {};
  Buffer buffer = Buffer::allocate(text.size(), nullptr);
  std::memcpy(buffer.mutable_data(), text.data(), text.size());
  return {std::move(buffer)};
}

}  // namespace

Result<BufferChain> VolumeFileSystem::read(const Caller& caller, Ino ino, Handle handle, uint64_t off,
                                           uint32_t size) {
  if (is_internal(ino)) {
    const auto open = TRY(handles_.find(handle, ino));
    return as_chain(TRY(open->internal->read(off, size, caller.interrupt)));
  }
  const auto file = TRY(find_file(handle, ino));
  if (!file->readable() && !options_.writeback_cache) return fail(EBADF);
  TRY(check_locks(*file));
  const Pending pending = data_.pending(ino);  // first: what is committed after this shows in the attributes
  const Attr attr = file->inode->attr();
  const uint64_t length = std::max(attr.length, pending ? pending->length : 0);
  BufferChain out = TRY(data_.read(ino, handle, length, off, size, caller.interrupt));
  if (meta_.options().atime != meta::AtimeMode::noatime && !(file->flags & O_NOATIME)) {
    (void)meta_.touch_atime(ino, attr);  // a lost access time is no reason to fail a read
  }
  return out;
}

// Once a commit has found the volume full, writes that make a file longer are refused for a second, so that a
// process learns of it before it closes; the write after that tries again.
bool VolumeFileSystem::refuses_as_full(const OpenInode& inode, uint64_t end) {
  const int64_t until = full_until_.load(std::memory_order_relaxed);
  if (until == 0) return false;
  if (std::chrono::steady_clock::now().time_since_epoch().count() >= until) {
    full_until_.store(0, std::memory_order_relaxed);
    return false;
  }
  return end > inode.length();
}

void VolumeFileSystem::write(const Caller& caller, Ino ino, Handle handle, uint64_t off, Buffer data,
                             bool kill, Completion<uint32_t> done) {
  const auto accept = [&]() -> Status {
    if (is_internal(ino)) {
      const auto open = TRY(handles_.find(handle, ino));
      if (!open->writable()) return fail(EBADF);
      return open->internal->write(caller, data.text());
    }
    const auto file = TRY(find_file(handle, ino));
    if (!file->writable()) return fail(EBADF);
    TRY(check_locks(*file));
    if (off >= kMaxFileSize || data.size() > kMaxFileSize - off) return fail(EFBIG);
    if (refuses_as_full(*file->inode, off + data.size())) return fail(ENOSPC);
    if (kill) TRY(kill_suidgid(caller, *file->inode));
    if (options_.enable_cap) TRY(kill_capability(*file->inode));
    return data_.write(ino, off, std::move(data), clock_.now());
  };
  const auto size = static_cast<uint32_t>(data.size());
  const Status accepted = accept();
  if (!accepted) return done(fail(accepted.error()));
  if (is_internal(ino)) return done(size);
  // The data is taken, so an interrupt ends the waiting only.
  data_.when_writable(caller.interrupt, [size, done = std::move(done)]() mutable { done(size); });
}

Status VolumeFileSystem::fsync(const Caller& caller, Ino ino, Handle handle, bool) {
  if (is_internal(ino)) return {};
  TRY(check_locks(*TRY(find_file(handle, ino))));
  TRY(data_.fsync(ino, caller.interrupt));
  return data_.sync_metadata([&] { return meta_.store().sync(); });
}

Status VolumeFileSystem::fallocate(const Caller& caller, Ino ino, Handle handle, int mode, uint64_t off,
                                   uint64_t len) {
  if (is_internal(ino)) return fail(EPERM);
  if (len == 0) return fail(EINVAL);
  if (off >= kMaxFileSize || len > kMaxFileSize - off) return fail(EFBIG);
  const auto file = TRY(find_file(handle, ino));
  if (!file->writable()) return fail(EBADF);
  TRY(check_locks(*file));
  TRY(data_.ordered(ino, caller.interrupt, [&]() -> Status {
    const Attr after = TRY(meta_.fallocate(caller, ino, mode, off, len));
    changed(ino, after, kResized);
    kernel_.moved(ino, after);  // the kernel drops the pages of a punched or zeroed range itself
    return {};
  }));
  data_.invalidate(ino);
  return {};
}

Result<uint64_t> VolumeFileSystem::copy_file_range(const Caller& caller, Ino in, Handle in_handle,
                                                   uint64_t in_off, Ino out, Handle out_handle,
                                                   uint64_t out_off, uint64_t len) {
  if (is_internal(in) || is_internal(out))
    return fail(EXDEV);  // the kernel then copies by reading and writing
  const auto source = TRY(find_file(in_handle, in));
  const auto target = TRY(find_file(out_handle, out));
  if (!source->readable() || !target->writable()) return fail(EBADF);
  TRY(check_locks(*source));
  TRY(check_locks(*target));
  if (in_off >= kMaxFileSize || out_off >= kMaxFileSize) return fail(EFBIG);
  len = std::min({len, kMaxFileSize - in_off, kMaxFileSize - out_off});
  // Only the source's data so far must be in its slices; its later commits need not wait for the copy. So
  // only one inode's order is held at a time, and copies in opposite directions cannot block each other.
  if (in != out && data_.has_pending(in)) TRY(data_.flush(in, caller.interrupt));
  meta::Meta::Copied copied;
  TRY(data_.ordered(out, caller.interrupt, [&]() -> Status {
    copied = TRY(meta_.copy_range(caller, in, in_off, out, out_off, len));
    if (copied.bytes == 0) return {};
    changed(out, copied.out, kResized);
    kernel_.moved(out, copied.out);
    return {};
  }));
  data_.invalidate(out);
  return copied.bytes;
}

Result<uint64_t> VolumeFileSystem::lseek(const Caller& caller, Ino ino, Handle handle, uint64_t off,
                                         int whence) {
  if (is_internal(ino)) return fail(EINVAL);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return fail(EINVAL);
  const auto file = TRY(find_file(handle, ino));
  if (data_.has_pending(ino)) TRY(data_.flush(ino, caller.interrupt));
  return meta_.seek(ino, off, whence == SEEK_DATA, file->inode->length());
}

}  // namespace cider::vfs
