// Mounting and unmounting: mount(2) as root, fusermount3 for users.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace cider::fuse {

// What the words of `-o` mean to the kernel.
struct MountFlags {
  unsigned long flags = 0;         // MS_*
  std::vector<std::string> words;  // the generic ones, as fusermount3 takes them
  bool allow_other = false;
  bool nonempty = false;  // the mount point may have contents, which the mount hides
  uint32_t max_read = 0;  // bytes per READ; 0: as negotiated
};

// EINVAL with the word in question for one that isn't known, ENOTSUP for "remount". Words for mount(8) and
// fstab alone (noauto, _netdev, x-...) are taken and mean nothing here.
Result<MountFlags> parse_mount_words(const std::vector<std::string>& words);

struct MountRequest {
  std::string mountpoint;  // absolute
  std::string source;      // first column of /proc/mounts
  MountFlags flags;
};

// Mounts and returns the /dev/fuse descriptor to serve. A FUSE mount whose process died is replaced. The
// message of an error says what to do.
Result<UniqueFd> mount(const MountRequest& request);

// Whether a FUSE mount whose process is gone is there.
bool is_dead_mount(const std::string& path);

// EBUSY while it is in use, unless `lazy`: then it disappears at once and ends with the last close.
Status unmount(const std::string& mountpoint, bool lazy);

// Ends the connection of a FUSE mount, whatever waits for it; where the kernel's control file system is
// there.
void abort_connection(const std::string& mountpoint);

// Sets the read-ahead of a mounted file system; root only. Asks nothing of the mount itself.
Status set_read_ahead(const std::string& mountpoint, uint32_t kib);

struct MountEntry {
  std::string device;  // "major:minor"
  std::string type;    // "fuse.ciderfs"
};
// The topmost mount at `mountpoint`; `mountinfo` has the contents of /proc/self/mountinfo. ENOENT if none.
Result<MountEntry> find_mount(const std::string& mountinfo, const std::string& mountpoint);

}  // namespace cider::fuse
