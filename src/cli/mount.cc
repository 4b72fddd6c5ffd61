// `ciderfs mount`: serves a volume until it is unmounted.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/log.h"
#include "base/version.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/daemon.h"
#include "cli/host.h"
#include "cli/log_level.h"
#include "cli/mount_options.h"
#include "cli/mounted_volume.h"
#include "cli/stop_signals.h"
#include "cli/terminal.h"
#include "cli/volume_access.h"

namespace cider::cli {
namespace {

constexpr std::chrono::seconds kAnswerLimit{10};

// The first signal unmounts; with files open the mount disappears at once, and we end with their last close.
// The second ends us in any case, with what was written committed.
void on_signal(MountedVolume& volume, int count) {
  if (count == 1) {
    log::info("Signal received: unmounting");
    Status asked = volume.request_unmount(/*lazy=*/false);
    if (asked || asked.error().code != EBUSY) return;
    log::warning("Files are open; the mount is detached and ends when they are closed");
    if (Status lazy = volume.request_unmount(/*lazy=*/true); !lazy) log::error(lazy.error().to_string());
    return;
  }
  log::warning("Second signal received: ending at once");
  Status flushed = volume.flush();
  if (!flushed) log::error("data is lost: " + flushed.error().to_string());
  ::_exit(flushed ? 0 : 1);
}

// Serves until the end. Answers the exit code; `ready` hears of the start. on_hangup: see StopSignals::watch.
template <class Ready>
int serve(MountPlan plan, std::function<void()> on_hangup, Ready&& ready) {
  StopSignals signals;
  const std::string mount_point = plan.mount_point;
  Result<std::unique_ptr<MountedVolume>> started = MountedVolume::start(std::move(plan));
  if (started) {
    log::info("Mounted " + (*started)->name() + " on " + mount_point + " (ciderfs " +
              std::string(ciderfs_version()) + ")");
  }
  ready(started);
  if (!started) return 1;
  MountedVolume& volume = **started;
  signals.watch([&](int count) { on_signal(volume, count); }, std::move(on_hangup));
  volume.wait();
  Status stopped = volume.stop();
  if (!stopped) log::error("Data could not be stored: " + stopped.error().to_string());
  log::info("Unmounted " + volume.name() + " from " + mount_point);
  return stopped ? 0 : 1;
}

// Asks the mount something as any program would. Not from the process that serves it: that could wait for
// itself.
Status check_answers(const std::string& mount_point) {
  auto asked = std::make_shared<std::promise<int>>();
  std::future<int> answer = asked->get_future();
  std::thread([asked, mount_point] {
    struct stat stat;
    asked->set_value(::stat(mount_point.c_str(), &stat) == 0 ? 0 : errno);
  }).detach();
  if (answer.wait_for(kAnswerLimit) != std::future_status::ready) {
    return fail(ETIMEDOUT, "the mount on " + mount_point + " does not answer");
  }
  if (int code = answer.get(); code != 0)
    return fail(code, "the mount on " + mount_point + " answers: " + Error{code, {}}.to_string());
  return {};
}

Result<int> mount_in_background(const Arguments& arguments, const std::string& log_file, MountPlan plan) {
  const std::string mount_point = plan.mount_point;
  TRY(run_in_background(log_file, [&](StartReport& report) {
    log::configure({log_level(arguments), log_file, !arguments.flag("no-syslog")});
    // logrotate has moved the file away.
    auto reopen_log = [&] {
      log::reopen();
      if (Status done = redirect_output(log_file); !done) log::warning(done.error().to_string());
    };
    return serve(std::move(plan), reopen_log, [&](const auto& started) {
      if (started) return report.ready();
      log::error("Mount failed: " + started.error().to_string());
      report.failed(started.error().to_string());
    });
  }));
  TRY(check_answers(mount_point));
  log::info("OK, mounted on " + mount_point + "; the log is " + log_file);
  return 0;
}

Result<int> mount_in_foreground(MountPlan plan) {
  Status failure;
  int code = serve(std::move(plan), nullptr, [&](const auto& started) {
    if (!started) failure = fail(started.error());
  });
  TRY(std::move(failure));
  return code;
}

// Whether a mount of the volume, by whatever client, shows its `.config` there.
bool serves(const std::string& mount_point, const std::string& meta_url) {
  std::ifstream file(mount_point + "/.config");
  const auto config = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const auto uuid = nlohmann::json::json_pointer("/Format/UUID");
  if (!config.is_object() || !config.contains(uuid)) return false;
  const auto opened = open_volume(meta_url, Access::read_only);
  return opened && config[uuid] == opened->volume.uuid;
}

// Whether the volume is there already, as `mount -a` finds it the second time. Another mount there is an
// error: one on top of it would only hide it.
Result<bool> is_mounted(const Arguments& arguments, const MountPlan& plan) {
  const std::string& mount_point = plan.mount_point;
  struct stat here;
  struct stat above;
  if (::stat(mount_point.c_str(), &here) != 0 || ::stat((mount_point + "/..").c_str(), &above) != 0)
    return false;                                      // mount says why
  if (fuse::is_dead_mount(mount_point)) return false;  // mount replaces it
  if (arguments.flag("force") || here.st_dev == above.st_dev || mount_point == "/") return false;
  if (serves(mount_point, plan.meta_url)) return true;
  return fail(EBUSY, "mount point " + mount_point +
                         ": something is mounted there already; unmount it, or use --force to mount over it");
}

Status check(const Arguments& arguments) {
  TRY(plan_mount(arguments));
  return {};
}

Result<int> run(const Arguments& arguments) {
  MountPlan plan = TRY(plan_mount(arguments));
  if (TRY(is_mounted(arguments, plan))) {
    log::info("The volume is mounted there already: " + plan.mount_point);
    return 0;
  }
  const std::string log_file = TRY(absolute(arguments.text("log")));
  prepare_mount_process();
  if (arguments.flag("disable-transparent-hugepage")) disable_huge_pages();
  if (arguments.flag("background")) return mount_in_background(arguments, log_file, std::move(plan));
  return mount_in_foreground(std::move(plan));
}

}  // namespace

const Command kMountCommand = {
    .name = "mount",
    .category = "SERVICE",
    .usage = "META-URL MOUNTPOINT",
    .summary = "Mount a volume",
    .description =
        R"(Serves the volume on the directory MOUNTPOINT, which must exist and be empty, until it is unmounted. A mount that died
there is replaced. With -d the command returns when the mount answers, or tells why it doesn't.

While the store is away, what was written is kept in memory and tried again. close(2) and fsync(2) wait for it up to
300 seconds before they fail with EIO, and may be repeated; if the store is full or read-only they fail at once.
A read fails after --io-retries tries; ten take 10 seconds. Who waits can be interrupted.

SIGTERM and SIGINT unmount. In the background SIGHUP opens the log file anew, for logrotate. The exit code is 1 if data could not be stored.

Examples:
  ciderfs mount sqlite3:///var/lib/ciderfs/photos.db /mnt/photos -d
  ciderfs mount sqlite3://photos.db /mnt/photos --read-only --subdir 2024

In /etc/fstab:
  sqlite3:///var/lib/ciderfs/photos.db  /mnt/photos  ciderfs  _netdev,buffer-size=500M  0 0)",
    .options = mount_options(),
    .unsupported = unsupported_mount_options(),
    .min_arguments = 2,
    .max_arguments = 2,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
