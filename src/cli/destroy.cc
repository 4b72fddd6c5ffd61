// `ciderfs destroy`: removes a volume for good, objects and metadata.
#include "base/clock.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "cli/volume_access.h"
#include "meta/model/session.h"

namespace cider::cli {
namespace {

constexpr size_t kBatch = 1000;

constexpr Option kOptions[] = {
    {.name = "yes", .alias = "y", .help = "answer every question with yes"},
    {.name = "force", .help = "destroy without asking, and although clients are mounted"},
};

// EBUSY while a client has registered and not expired.
Status check_no_sessions(meta::Store& store) {
  std::vector<std::vector<std::string>> rows = {{"SID", "HostName", "MountPoint"}};
  int64_t now = Clock::system().now().sec;
  for (const meta::SessionRecord& session : TRY(sessions_of_others(store))) {
    if (session.expire < now) continue;
    meta::SessionInfo info = meta::decode_session_info(session.info).value_or(meta::SessionInfo{});
    rows.push_back({std::to_string(session.sid), info.host_name, info.mount_point});
  }
  if (rows.size() == 1) return {};
  std::string list = table(rows);
  list.pop_back();
  return fail(EBUSY, std::to_string(rows.size() - 1) +
                         " sessions are active; unmount them first, or use --force:\n" + list);
}

Status confirm_destruction(const Arguments& arguments, OpenedVolume& opened, const std::string& storage) {
  int64_t space = TRY(opened.store->counter(meta::Counter::used_space));
  int64_t inodes = TRY(opened.store->counter(meta::Counter::total_inodes));
  print_line(" volume name: " + opened.volume.name);
  print_line(" volume UUID: " + opened.volume.uuid);
  print_line("data storage: " + storage);
  print_line("  used bytes: " + std::to_string(space));
  print_line(" used inodes: " + std::to_string(inodes));
  warn("The volume will be destroyed for good:");
  warn("1. ALL objects in the data storage: " + storage);
  warn("2. ALL entries in the metadata engine: " + opened.store->describe());
  if (arguments.flag("yes") || confirm("Destroy it?")) return {};
  return fail(ECANCELED, "nothing was destroyed");
}

// Answers how many could not be removed.
Result<uint64_t> remove_objects(object::ObjectStore& objects) {
  ProgressLine progress("Deleted objects");
  uint64_t removed = 0;
  uint64_t failed = 0;
  std::string after;
  while (true) {
    std::vector<object::ObjectInfo> batch = TRY(objects.list("", after, kBatch));
    for (const object::ObjectInfo& object : batch) {
      if (Status done = objects.remove(object.key); !done) {
        log::warning("delete " + object.key + ": " + done.error().to_string());
        ++failed;
      } else {
        progress.update(++removed);
      }
    }
    if (batch.empty()) break;
    after = batch.back().key;
  }
  log::info("Deleted " + std::to_string(removed) + " objects");
  if (Status done = objects.remove_empty_folders(""); !done) warn(done.error().to_string());
  return failed;
}

Status check(const Arguments& arguments) {
  return check_meta_url(arguments[0]);
}

Result<int> run(const Arguments& arguments) {
  OpenedVolume opened = TRY(open_volume(arguments[0], Access::read_write));
  if (arguments[1] != opened.volume.uuid) {
    return fail(EINVAL, "UUID \"" + arguments[1] + "\" is not the volume's, which is " + opened.volume.uuid);
  }
  // Objects are only removed, so that compressed or encrypted ones are no hindrance.
  auto bucket = TRY(open_bucket(opened.volume));
  auto objects = object::with_prefix(std::move(bucket), opened.volume.name + "/");
  if (!arguments.flag("force")) {
    TRY(check_no_sessions(*opened.store));
    TRY(confirm_destruction(arguments, opened, objects->name()));
  }
  uint64_t failed = TRY(remove_objects(*objects));
  if (failed > 0) warn(std::to_string(failed) + " objects could not be deleted; delete them by hand");
  TRY(opened.store->destroy_volume());
  log::info("The volume has been destroyed");
  return failed > 0 ? 1 : 0;
}

}  // namespace

const Command kDestroyCommand = {
    .name = "destroy",
    .category = "ADMIN",
    .usage = "META-URL UUID",
    .summary = "Destroy a volume: all its objects and metadata",
    .description = R"(Can't be undone. `ciderfs status META-URL` shows the UUID.

Examples:
  ciderfs destroy sqlite3://photos.db e94d66a8-2339-4abd-b8d8-6812df737892)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 2,
    .max_arguments = 2,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
