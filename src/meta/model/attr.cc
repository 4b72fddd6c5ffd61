#include "meta/model/attr.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/bytes.h"

namespace cider::meta {
namespace {

constexpr size_t kMinRecord = 63;  // up to rdev; records of the first releases end here

struct TypeBits {
  FileType type;
  uint32_t bits;
};
constexpr TypeBits kTypeBits[] = {
    {FileType::file, S_IFREG},    {FileType::directory, S_IFDIR},    {FileType::symlink, S_IFLNK},
    {FileType::fifo, S_IFIFO},    {FileType::block_device, S_IFBLK}, {FileType::char_device, S_IFCHR},
    {FileType::socket, S_IFSOCK},
};

void put_time(ByteWriter& out, Time t) {
  out.u64(static_cast<uint64_t>(t.sec)).u32(t.nsec);
}

Time get_time(ByteReader& in) {
  Time t;
  t.sec = static_cast<int64_t>(in.u64());
  t.nsec = std::min<uint32_t>(in.u32(), 999'999'999);  // a strange time must not make the inode unreadable
  return t;
}

}  // namespace

uint32_t type_bits(FileType type) {
  for (const TypeBits& row : kTypeBits) {
    if (row.type == type) return row.bits;
  }
  return 0;
}

bool type_from_bits(uint32_t mode, FileType* type) {
  for (const TypeBits& row : kTypeBits) {
    if (row.bits != (mode & S_IFMT)) continue;
    *type = row.type;
    return true;
  }
  return false;
}

std::string encode_attr(const Attr& attr) {
  ByteWriter out;
  out.u8(attr.flags);
  out.u16(static_cast<uint16_t>(static_cast<unsigned>(attr.type) << 12 | (attr.mode & 07777)));
  out.u32(attr.uid).u32(attr.gid);
  put_time(out, attr.atime);
  put_time(out, attr.mtime);
  put_time(out, attr.ctime);
  out.u32(attr.nlink).u64(attr.length).u32(attr.rdev).u64(attr.parent);
  if (attr.access_acl != 0 || attr.default_acl != 0) out.u32(attr.access_acl).u32(attr.default_acl);
  if (attr.tier != 0) out.u8(attr.tier);
  out.u8(0);  // JuiceFS allocates one byte too many and stores it
  return out.take();
}

Result<Attr> decode_attr(std::string_view record) {
  if (record.size() < kMinRecord) {
    return fail(EIO, "inode record of " + std::to_string(record.size()) + " bytes is too short");
  }
  ByteReader in(record);
  Attr attr;
  attr.flags = in.u8();
  const uint16_t type_and_mode = in.u16();
  attr.type = static_cast<FileType>(type_and_mode >> 12);
  attr.mode = type_and_mode & 07777;
  if (type_bits(attr.type) == 0) {
    return fail(EIO, "inode record has the unknown type " + std::to_string(type_and_mode >> 12));
  }
  attr.uid = in.u32();
  attr.gid = in.u32();
  attr.atime = get_time(in);
  attr.mtime = get_time(in);
  attr.ctime = get_time(in);
  attr.nlink = in.u32();
  attr.length = in.u64();
  attr.rdev = in.u32();
  // What follows came with later releases, each part there or not by the bytes that are left.
  if (in.remaining() >= 8) attr.parent = in.u64();
  if (in.remaining() >= 8) {
    attr.access_acl = in.u32();
    attr.default_acl = in.u32();
  }
  if (in.remaining() >= 1) attr.tier = in.u8();
  return attr;
}

}  // namespace cider::meta
