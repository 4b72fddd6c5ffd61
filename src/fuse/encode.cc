#include "fuse/encode.h"

#include <sys/stat.h>

namespace cider::fuse {
namespace {

constexpr uint32_t kPreferredIo = 64 << 10;  // st_blksize
constexpr uint32_t kStatfsBlock = 4096;

uint64_t seconds(vfs::Duration ttl) {
  return static_cast<uint64_t>(ttl.count() / 1'000'000'000);
}
uint32_t nanos(vfs::Duration ttl) {
  return static_cast<uint32_t>(ttl.count() % 1'000'000'000);
}

uint64_t sectors(uint64_t length) {
  return length / 512 + (length % 512 != 0);
}

StatxTime statx_time(const Time& time) {
  return {.sec = time.sec, .nsec = time.nsec, .reserved = 0};
}

// A device number as attributes and MKNOD carry it (the kernel's new_encode_dev).
uint32_t major_of(uint32_t rdev) {
  return (rdev & 0xfff00) >> 8;
}
uint32_t minor_of(uint32_t rdev) {
  return (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
}

}  // namespace

uint32_t mode_bits(vfs::FileType type) {
  switch (type) {
    case vfs::FileType::file:
      return S_IFREG;
    case vfs::FileType::directory:
      return S_IFDIR;
    case vfs::FileType::symlink:
      return S_IFLNK;
    case vfs::FileType::fifo:
      return S_IFIFO;
    case vfs::FileType::block_device:
      return S_IFBLK;
    case vfs::FileType::char_device:
      return S_IFCHR;
    case vfs::FileType::socket:
      return S_IFSOCK;
  }
  return 0;
}

fuse_attr encode_attr(Ino ino, const vfs::Attr& attr) {
  return {
      .ino = ino,
      .size = attr.length,
      .blocks = sectors(attr.length),
      .atime = static_cast<uint64_t>(attr.atime.sec),
      .mtime = static_cast<uint64_t>(attr.mtime.sec),
      .ctime = static_cast<uint64_t>(attr.ctime.sec),
      .atimensec = attr.atime.nsec,
      .mtimensec = attr.mtime.nsec,
      .ctimensec = attr.ctime.nsec,
      .mode = mode_bits(attr.type) | attr.mode,
      .nlink = attr.nlink,
      .uid = attr.uid,
      .gid = attr.gid,
      .rdev = attr.rdev,
      .blksize = kPreferredIo,
      .flags = 0,
  };
}

fuse_entry_out encode_entry(const vfs::EntryReply& entry) {
  fuse_entry_out out{};
  out.entry_valid = seconds(entry.entry_ttl);
  out.entry_valid_nsec = nanos(entry.entry_ttl);
  if (entry.ino == 0) return out;  // a name known to be absent
  out.nodeid = entry.ino;
  out.generation = kGeneration;
  out.attr_valid = seconds(entry.attr_ttl);
  out.attr_valid_nsec = nanos(entry.attr_ttl);
  out.attr = encode_attr(entry.ino, entry.attr);
  return out;
}

fuse_attr_out encode_attr_reply(const vfs::AttrReply& reply) {
  return {
      .attr_valid = seconds(reply.attr_ttl),
      .attr_valid_nsec = nanos(reply.attr_ttl),
      .dummy = 0,
      .attr = encode_attr(reply.ino, reply.attr),
  };
}

fuse_open_out encode_open(const vfs::OpenReply& open) {
  uint32_t flags = 0;
  if (open.keep_cache) flags |= FOPEN_KEEP_CACHE;
  if (open.direct_io) flags |= FOPEN_DIRECT_IO;
  if (open.no_flush) flags |= FOPEN_NOFLUSH;
  if (open.cache_dir) flags |= FOPEN_CACHE_DIR;
  return {.fh = open.handle, .open_flags = flags, .padding = 0};
}

fuse_statfs_out encode_statfs(const vfs::StatFs& stat) {
  fuse_statfs_out out{};
  out.st.blocks = stat.total_bytes / kStatfsBlock;
  out.st.bfree = stat.available_bytes / kStatfsBlock;
  out.st.bavail = out.st.bfree;
  out.st.files = stat.total_inodes;
  out.st.ffree = stat.available_inodes;
  out.st.bsize = kStatfsBlock;
  out.st.frsize = kStatfsBlock;
  out.st.namelen = 255;
  return out;
}

StatxOut encode_statx(const vfs::AttrReply& reply) {
  const vfs::Attr& attr = reply.attr;
  StatxOut out{};
  out.attr_valid = seconds(reply.attr_ttl);
  out.attr_valid_nsec = nanos(reply.attr_ttl);
  StatxBody& stat = out.stat;
  stat.mask = STATX_BASIC_STATS;
  stat.blksize = kPreferredIo;
  stat.attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
  if (attr.flags & meta::kFlagImmutable) stat.attributes |= STATX_ATTR_IMMUTABLE;
  if (attr.flags & meta::kFlagAppend) stat.attributes |= STATX_ATTR_APPEND;
  stat.nlink = attr.nlink;
  stat.uid = attr.uid;
  stat.gid = attr.gid;
  stat.mode = static_cast<uint16_t>(mode_bits(attr.type) | attr.mode);
  stat.ino = reply.ino;
  stat.size = attr.length;
  stat.blocks = sectors(attr.length);
  stat.atime = statx_time(attr.atime);
  stat.ctime = statx_time(attr.ctime);
  stat.mtime = statx_time(attr.mtime);
  stat.rdev_major = major_of(attr.rdev);
  stat.rdev_minor = minor_of(attr.rdev);
  return out;
}

}  // namespace cider::fuse
