// fusermount3, the setuid helper that mounts for users who are not root.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace cider::fuse {

// Mounts and returns the /dev/fuse descriptor, which the helper has opened. Errors carry what the helper
// said.
Result<UniqueFd> fusermount(const std::string& mountpoint, const std::string& options);
Status fusermount_unmount(const std::string& mountpoint, bool lazy);

// A value for the helper's -o list: commas and backslashes escaped.
std::string escape_option(const std::string& value);

}  // namespace cider::fuse
