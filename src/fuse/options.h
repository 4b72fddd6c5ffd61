// What a mount may choose about the kernel's side.
#pragma once

#include <cstdint>

namespace cider::fuse {

struct FuseOptions {
  bool writeback_cache = false;  // the kernel collects writes; weaker close-to-open between clients
  bool explicit_inval = true;    // the kernel drops cached pages only when told, not whenever mtime moves
  bool xattr = true;             // false: the kernel is told that there are none, and stops asking
  bool io_uring = false;         // requests come over io_uring: Linux 6.14, where the administrator allows it
  bool acl = false;              // POSIX ACLs, checked by the kernel; needs xattr
  uint16_t max_background = 64;  // asynchronous requests (read-ahead, writeback) at once
  uint16_t congestion_threshold = 48;
  uint32_t max_write = 1 << 20;   // bytes per WRITE and READ; a multiple of 4096, at most 1 MiB
  uint32_t read_ahead_kb = 4096;  // of the mount, set after mounting where we are root; 0: the kernel's 128
};

}  // namespace cider::fuse
