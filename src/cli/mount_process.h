// The process that serves a mount, as other processes see it.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace cider::cli {

class MountProcess {
 public:
  // Of the mount whose root `mount_point` is. EINVAL if it isn't one that the caller may ask.
  static Result<MountProcess> of(const std::string& mount_point);

  // Returns when it has ended. Its exit code, where the kernel tells that (Linux 6.15); -1 after a signal.
  std::optional<int> wait() const;

 private:
  explicit MountProcess(UniqueFd process) : process_(std::move(process)) {}
  UniqueFd process_;  // a pidfd
};

}  // namespace cider::cli
