#include "cli/mount_process.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace cider::cli {
namespace {

// From linux/pidfd.h of Linux 6.15, which Debian 12's headers don't have.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t ids[11];
  int32_t exit_code;
};
constexpr uint64_t kPidfdInfoExit = 1 << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

constexpr int kReapLimit = 2000;  // ms until the parent, mostly init, has taken the exit code

bool wait_for(int fd, short event, int limit) {
  pollfd state = {fd, event, 0};
  int events;
  while ((events = ::poll(&state, 1, limit)) < 0 && errno == EINTR) {
  }
  return events > 0;
}

}  // namespace

Result<MountProcess> MountProcess::of(const std::string& mount_point) {
  for (const char* name : {"/.config", "/.jfs.config"}) {
    std::ifstream file(mount_point + name);
    auto config = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
    if (!config.is_object() || !config.contains("Pid") || !config["Pid"].is_number_integer()) continue;
    UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, config["Pid"].get<int>(), 0)));
    if (!process) return fail_errno("the process of the mount on " + mount_point);
    return MountProcess(std::move(process));
  }
  return fail(EINVAL, "--flush: " + mount_point +
                          " is not the root of a CiderFS mount that you may ask (its .config is for root)");
}

std::optional<int> MountProcess::wait() const {
  wait_for(process_.get(), POLLIN, -1);
  wait_for(process_.get(), POLLHUP, kReapLimit);  // the exit code is known once the parent has it
  PidfdInfo info = {.mask = kPidfdInfoExit, .cgroup = 0, .ids = {}, .exit_code = 0};
  if (::ioctl(process_.get(), kPidfdGetInfo, &info) != 0 || !(info.mask & kPidfdInfoExit))
    return std::nullopt;
  return WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : -1;
}

}  // namespace cider::cli
