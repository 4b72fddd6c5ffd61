// On whose behalf an operation runs.
#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

namespace cider {

struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // supplementary; filled only where check_permission is set
  uint32_t pid = 0;
  uint32_t umask = 0;
  bool check_permission = false;  // false where the kernel has checked already (default_permissions)
  std::stop_token interrupt;  // requested when the caller was interrupted; every wait ends with EINTR then

  bool is_root() const { return uid == 0; }
  bool in_group(uint32_t group) const {
    if (group == gid) return true;
    for (uint32_t g : groups) {
      if (g == group) return true;
    }
    return false;
  }
};

}  // namespace cider
