// `ciderfs umount`.
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "fuse/mount.h"

namespace cider::cli {
namespace {

constexpr Option kOptions[] = {
    {.name = "force",
     .alias = "f",
     .help = "detach a mount that is in use; it ends when its files are closed"},
    {.name = "flush", .help = "wait until the mount's process has stored everything and ended"},
};

// The process that serves a mount, as a descriptor that becomes readable when it ends.
class MountProcess {
 public:
  static Result<MountProcess> of(const std::string& mount_point) {
    for (const char* name : {"/.config", "/.jfs.config"}) {
      std::ifstream file(mount_point + name);
      auto config = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
      if (!config.is_object() || !config.contains("Pid") || !config["Pid"].is_number_integer()) continue;
      int fd = static_cast<int>(::syscall(SYS_pidfd_open, config["Pid"].get<int>(), 0));
      if (fd < 0) return fail_errno("the process of the mount on " + mount_point);
      return MountProcess(fd);
    }
    return fail(EINVAL, "--flush: " + mount_point +
                            " is not the root of a CiderFS mount that you may ask (its .config is for root)");
  }

  MountProcess(MountProcess&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  MountProcess& operator=(MountProcess&&) = delete;
  ~MountProcess() {
    if (fd_ >= 0) ::close(fd_);
  }

  void wait() const {
    pollfd ended = {fd_, POLLIN, 0};
    while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
  }

 private:
  explicit MountProcess(int fd) : fd_(fd) {}
  int fd_;
};

Result<int> run(const Arguments& arguments) {
  std::string mount_point = TRY(absolute(arguments[0]));
  if (!arguments.flag("flush")) {
    TRY(fuse::unmount(mount_point, arguments.flag("force")));
    return 0;
  }
  MountProcess process = TRY(MountProcess::of(mount_point));
  TRY(fuse::unmount(mount_point, arguments.flag("force")));
  process.wait();
  return 0;
}

}  // namespace

const Command kUmountCommand = {
    .name = "umount",
    .category = "SERVICE",
    .usage = "MOUNTPOINT",
    .summary = "Unmount a volume",
    .description = R"(Examples:
  ciderfs umount /mnt/photos)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};

}  // namespace cider::cli
