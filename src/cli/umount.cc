// `ciderfs umount`.
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/mount_process.h"
#include "cli/terminal.h"
#include "fuse/mount.h"
#include "vfs/control_message.h"

namespace cider::cli {
namespace {

constexpr Option kOptions[] = {
    {.name = "force",
     .alias = "f",
     .help = "detach a mount that is in use; it ends when its files are closed"},
    {.name = "flush",
     .help = "store all data first, or fail and leave it mounted; then wait for the mount's process to end"},
};

// Has the mount store what was written. The error names what could not be stored.
Status store_all(const std::string& mount_point) {
  ControlClient control = TRY(ControlClient::open(mount_point));
  bool told = false;
  const auto command = static_cast<uint32_t>(vfs::ControlCommand::flush_all);
  ProgressLine staged("Staged blocks left");
  Result<std::string> reply = control.request(command, {}, [&](uint64_t blocks, uint64_t) {
    if (!std::exchange(told, true)) log::info("Waiting until all data is stored");
    if (blocks > 0) staged.update(blocks);
  });
  if (!reply && reply.error().code == EINVAL) return {};  // a client that doesn't know the request: JuiceFS's
  auto answer = nlohmann::json::parse(TRY(std::move(reply)), nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return fail(EPROTO, "the mount's answer is no JSON object");
  if (int code = answer.value("Errno", 0); code != 0) return fail(code, answer.value("Reason", ""));
  return {};
}

Result<int> unmount_stored(const std::string& mount_point, bool force) {
  MountProcess process = TRY(MountProcess::of(mount_point));
  Status stored = store_all(mount_point);
  if (!stored && !force) {
    return fail(stored.error().code,
                mount_point +
                    " stays mounted, because data could not be stored: " + stored.error().to_string() +
                    "; mend the store and try again (without --flush, or with --force, such data is lost)");
  }
  TRY(fuse::unmount(mount_point, force));
  // What is still written until then is stored, or not, when the process ends.
  std::optional<int> code = process.wait();
  if (!stored) return fail(EIO, "unmounted; data is lost: " + stored.error().to_string());
  if (code && *code != 0)
    return fail(EIO, "unmounted, but data could not be stored; the mount's log says which");
  return 0;
}

Result<int> run(const Arguments& arguments) {
  std::string mount_point = TRY(absolute(arguments[0]));
  if (arguments.flag("flush")) return unmount_stored(mount_point, arguments.flag("force"));
  TRY(fuse::unmount(mount_point, arguments.flag("force")));
  return 0;
}

}  // namespace

const Command kUmountCommand = {
    .name = "umount",
    .category = "SERVICE",
    .usage = "MOUNTPOINT",
    .summary = "Unmount a volume",
    .description =
        R"(Returns when the mount is gone from the directory tree. Its process ends once it has stored what was written; data
that the store doesn't take for 5 minutes is lost then, and the log says so. Closing or syncing the file has failed before.

Blocks that --writeback has staged stay in the cache's folders, and the next mount with these uploads them.

With --flush they are uploaded first, which takes as long as it takes, and data that can't be stored makes the command fail, and nothing is unmounted.

Examples:
  ciderfs umount /mnt/photos
  ciderfs umount --flush /mnt/photos)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run,
};

}  // namespace cider::cli
