// Words of the whole project: inode numbers, time, and one record of a chunk's slice list.
#pragma once

#include <compare>
#include <cstdint>

namespace cider {

using Ino = uint64_t;

inline constexpr Ino kRootIno = 1;
inline constexpr Ino kTrashIno = 0x7FFFFFFF10000000;  // `.trash`; its hour folders have numbers above it

constexpr bool is_trash(Ino ino) {
  return ino >= kTrashIno;
}

inline constexpr uint64_t kChunkSize = 64ULL << 20;

// Wall-clock time. `nsec` is always in [0, 1e9), so times before 1970 have a negative `sec` and a positive
// `nsec`.
struct Time {
  int64_t sec = 0;
  uint32_t nsec = 0;
  auto operator<=>(const Time&) const = default;
};

// One record of a chunk: bytes [off, off+len) of slice `id`, which is `size` bytes long, stand at `pos` in
// the chunk. id 0 is a hole. Later records of a chunk cover earlier ones.
struct Slice {
  uint32_t pos = 0;
  uint64_t id = 0;
  uint32_t size = 0;
  uint32_t off = 0;
  uint32_t len = 0;
  bool operator==(const Slice&) const = default;
};

}  // namespace cider
