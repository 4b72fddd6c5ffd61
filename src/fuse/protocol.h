// The kernel's FUSE protocol: <linux/fuse.h> (7.38 in Debian 12), and what later versions added, under names
// of our own so that a newer header does not clash. Only src/fuse/ includes this.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace cider::fuse {

inline constexpr uint32_t kMinimalMinor = 31;  // Linux 5.4
inline constexpr uint32_t kOurMinor = 45;  // what we know how to read; the kernel uses the smaller of the two

// 7.39
inline constexpr uint32_t kOpStatx = 52;
// 7.45: COPY_FILE_RANGE with a 64-bit answer.
inline constexpr uint32_t kOpCopyFileRange64 = 53;
// 7.44: an empty notification that ages every cached dentry.
inline constexpr int kNotifyIncEpoch = 8;

// 7.42: requests over io_uring. A bit of flags2 at INIT; the rest is about URING_CMDs on /dev/fuse.
inline constexpr uint32_t kInitOverIoUring = 1U << (41 - 32);
inline constexpr uint32_t kRingRegister = 1;
inline constexpr uint32_t kRingCommitAndFetch = 2;

struct RingEntryInOut {
  uint64_t flags;
  uint64_t commit_id;
  uint32_t payload_size;  // bytes in the payload buffer, of the request or the answer
  uint32_t padding;
  uint64_t reserved;
};

struct RingHeaders {
  char in_out[128];  // fuse_in_header, then fuse_out_header
  char op_in[128];   // the request's first argument
  RingEntryInOut entry;
};

struct RingCommand {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t queue;
  uint8_t padding[6];
};

struct StatxTime {
  int64_t sec;
  uint32_t nsec;
  int32_t reserved;
};

struct StatxBody {
  uint32_t mask;
  uint32_t blksize;
  uint64_t attributes;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t spare0;
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  StatxTime atime;
  StatxTime btime;
  StatxTime ctime;
  StatxTime mtime;
  uint32_t rdev_major;
  uint32_t rdev_minor;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint64_t spare2[14];
};

struct StatxIn {
  uint32_t getattr_flags;
  uint32_t reserved;
  uint64_t fh;
  uint32_t sx_flags;
  uint32_t sx_mask;
};

struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  StatxBody stat;
};

struct CopyFileRangeOut {
  uint64_t bytes_copied;
};

static_assert(sizeof(RingHeaders) == 288 && sizeof(RingCommand) == 24);
static_assert(sizeof(StatxIn) == 24);
static_assert(sizeof(StatxBody) == 256);
static_assert(sizeof(StatxOut) == 288);
static_assert(sizeof(fuse_in_header) == 40 && sizeof(fuse_write_in) == 40);

}  // namespace cider::fuse
