// The attributes of an inode, and their record in Redis and ordered-KV engines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace cider::meta {

// NOTE: persistent values.
enum class FileType : uint8_t {
  file = 1,
  directory = 2,
  symlink = 3,
  fifo = 4,
  block_device = 5,
  char_device = 6,
  socket = 7,
};

// NOTE: persistent values of Attr::flags.
inline constexpr uint8_t kFlagImmutable = 1;
inline constexpr uint8_t kFlagAppend = 2;
inline constexpr uint8_t kFlagSkipTrash = 32;

inline constexpr uint64_t kDirectoryLength = 4096;

struct Attr {
  uint8_t flags = 0;
  FileType type = FileType::file;
  uint16_t mode = 0;  // permission bits with suid, sgid and sticky: 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  Time atime;
  Time mtime;
  Time ctime;
  uint32_t nlink = 0;
  uint64_t length = 0;  // directories 4096, symlinks the length of their target
  uint32_t rdev = 0;
  Ino parent = 0;           // 0: the inode has had several links, see the parent map
  uint32_t access_acl = 0;  // id of an interned rule, 0 = none
  uint32_t default_acl = 0;
  uint8_t tier = 0;

  bool is_dir() const { return type == FileType::directory; }
  bool is_file() const { return type == FileType::file; }
  bool is_symlink() const { return type == FileType::symlink; }
  bool operator==(const Attr&) const = default;
};

// Used space counts in units of 4 KiB; every inode costs one at least.
inline uint64_t align4k(uint64_t length) {
  return length == 0 ? 4096 : (length + 4095) / 4096 * 4096;
}
// What an inode adds to used space: files by length, everything else 4 KiB.
inline uint64_t space_of(const Attr& attr) {
  return attr.is_file() ? align4k(attr.length) : 4096;
}

// st_mode's type bits and back. 0 / false for unknown bits.
uint32_t type_bits(FileType type);
bool type_from_bits(uint32_t mode, FileType* type);

// Format: JuiceFS 1.4 pkg/meta/interface.go, Attr.Marshal: 72 bytes plain, 80 with ACL ids, 73 with a tier,
// 81 with both.
std::string encode_attr(const Attr& attr);
// Takes records of 63 (no parent) bytes and more; EIO for anything shorter or with an unknown type.
Result<Attr> decode_attr(std::string_view record);

}  // namespace cider::meta
