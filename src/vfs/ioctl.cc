// ioctl: inode flags, as lsattr and chattr use them ('i', 'a'; 's' means "skip the trash"), and requests to
// `.control` on read-only mounts.
#include <linux/fs.h>

#include <bit>

#include "base/bytes.h"
#include "vfs/volume_file_system.h"

namespace cider::vfs {
namespace {

// The 32-bit forms, which linux/fs.h names FS_IOC32_*, differ in the size that the number carries.
constexpr uint32_t kGetFlags = FS_IOC_GETFLAGS;
constexpr uint32_t kSetFlags = FS_IOC_SETFLAGS;
constexpr uint32_t kGetFlags32 = FS_IOC32_GETFLAGS;
constexpr uint32_t kSetFlags32 = FS_IOC32_SETFLAGS;
constexpr uint32_t kGetXattr = FS_IOC_FSGETXATTR;

uint32_t to_fs_flags(uint8_t flags) {
  uint32_t out = 0;
  if (flags & meta::kFlagSkipTrash) out |= FS_SECRM_FL;
  if (flags & meta::kFlagImmutable) out |= FS_IMMUTABLE_FL;
  if (flags & meta::kFlagAppend) out |= FS_APPEND_FL;
  return out;
}

Result<uint8_t> from_fs_flags(uint64_t flags) {
  constexpr uint64_t kKnown = FS_SECRM_FL | FS_IMMUTABLE_FL | FS_APPEND_FL;
  if ((flags & ~kKnown) != 0) return fail(EOPNOTSUPP);
  uint8_t out = 0;
  if (flags & FS_SECRM_FL) out |= meta::kFlagSkipTrash;
  if (flags & FS_IMMUTABLE_FL) out |= meta::kFlagImmutable;
  if (flags & FS_APPEND_FL) out |= meta::kFlagAppend;
  return out;
}

// An integer of 4 or 8 bytes in the machine's order; the kernel asks with 4 whatever the command's number
// says.
Result<std::string> number(uint64_t value, size_t size) {
  ByteWriter out(std::endian::native);
  if (size == 4) return out.u32(static_cast<uint32_t>(value)).take();
  if (size == 8) return out.u64(value).take();
  return fail(EINVAL);
}

Result<uint64_t> number(std::string_view bytes) {
  ByteReader in(bytes, std::endian::native);
  if (bytes.size() == 4) return in.u32();
  if (bytes.size() == 8) return in.u64();
  return fail(EINVAL);
}

// struct fsxattr: flags, extent size, extents, project, CoW extent size, padding.
std::string fsxattr_of(uint8_t flags) {
  uint32_t xflags = 0;
  if (flags & meta::kFlagImmutable) xflags |= FS_XFLAG_IMMUTABLE;
  if (flags & meta::kFlagAppend) xflags |= FS_XFLAG_APPEND;
  std::string out = ByteWriter(std::endian::native).u32(xflags).take();
  out.resize(sizeof(struct fsxattr), '\0');
  return out;
}

}  // namespace

Result<std::string> VolumeFileSystem::ioctl(const Caller& caller, Ino ino, Handle handle, uint32_t command,
                                            std::string_view in, uint32_t out_size) {
  if (ino == kControlIno && is_control_ioctl(command)) {
    TRY(TRY(handles_.find(handle, ino))->internal->ask(caller, in));
    return std::string();
  }
  const bool gets = command == kGetFlags || command == kGetFlags32 || command == kGetXattr;
  const bool sets = command == kSetFlags || command == kSetFlags32;
  if (!options_.enable_ioctl || !(gets || sets)) return fail(ENOTTY);
  if (is_internal(ino)) return fail(EPERM);
  const Ino at = inner(ino);
  if (sets) {
    const uint8_t flags = TRY(from_fs_flags(TRY(number(in))));
    const Attr after = TRY(meta_.set_flags(caller, at, flags));
    changed(at, after, meta::field::flags);
    kernel_.moved_ctime(at, after);
    notify({.ino = ino});
    return std::string();
  }
  const Attr attr = TRY(meta_.getattr(at));
  if (command != kGetXattr) return number(to_fs_flags(attr.flags), out_size);
  return out_size == sizeof(struct fsxattr) ? Result<std::string>(fsxattr_of(attr.flags)) : fail(EINVAL);
}

}  // namespace cider::vfs
