// What a mount is told about its volume: option values of `mount`, after parsing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/types.h"
#include "chunk/cache_fill.h"
#include "vfs/file_system.h"

namespace cider::vfs {

struct Account {
  uint32_t uid = 65534;
  uint32_t gid = 65534;
};

// How long the end of a mount, or who asks for it, waits until all data is stored.
inline constexpr std::chrono::minutes kFlushDeadline{5};

struct VfsOptions {
  // How long the kernel may keep what it was told.
  Duration attr_ttl = std::chrono::seconds(1);
  Duration entry_ttl = std::chrono::seconds(1);
  Duration dir_entry_ttl = std::chrono::seconds(1);
  Duration negative_ttl{0};                                    // 0: an absent name is not remembered
  bool readdir_cache = false;                                  // the kernel may keep listings
  Duration listed_attrs_for = std::chrono::milliseconds(100);  // attributes read longer ago are not listed

  Ino root = kRootIno;          // the directory that is the mount's root (--subdir)
  bool enable_xattr = false;    // user.*, trusted.*, security.* but the two below
  bool enable_cap = false;      // security.capability
  bool enable_selinux = false;  // security.selinux
  bool enable_ioctl = false;
  bool writeback_cache =
      false;  // the kernel writes back later: it reads through handles that are open for writing
  bool hide_internal = false;    // internal files are not listed (looking them up still works)
  bool prefix_internal = false;  // internal files are called .jfs.stats and so on

  // Identity of callers; see front.h.
  std::optional<uint16_t> umask;  // instead of the caller's
  std::optional<Account> root_squash;
  std::optional<Account> all_squash;

  // Uploads what is staged (write-back), for as long as it takes, and tells how many blocks and bytes are
  // left; may be empty.
  std::function<Status(std::stop_token, const std::function<void(uint64_t blocks, uint64_t bytes)>&)>
      upload_staged;

  chunk::CacheFill* cache_fill = nullptr;  // for warmup; outlives the file system

  std::string access_log;  // a file to append access log lines to; empty: none

  // Only for `.config`.
  std::string version;
  std::string mount_point;
  std::string subdir;
  uint64_t buffer_size = 0;
};

}  // namespace cider::vfs
