// `ciderfs rmr`: removes trees, inside the mount's process, which is much faster than `rm -r`.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/bytes.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/terminal.h"

namespace cider::cli {
namespace {

constexpr uint32_t kRemoveTreeRequest = 1002;
constexpr size_t kMaxName = 255;

constexpr Option kOptions[] = {
    {.name = "skip-trash", .help = "delete for good, although there is a trash; root only"},
    {.name = "threads",
     .alias = "p",
     .type = OptionType::integer,
     .fallback = "50",
     .help = "a hint how many to work with, up to 255"},
};

// What has no parent in the volume can't be removed.
Status check_not_root(const std::filesystem::path& path, const std::string& argument) {
  struct stat self;
  struct stat above;
  if (::lstat(path.c_str(), &self) != 0) return fail(errno);
  if (::lstat(path.parent_path().c_str(), &above) != 0)
    return fail_errno("stat " + path.parent_path().string());
  if (S_ISDIR(self.st_mode) && (self.st_dev != above.st_dev || path == path.root_path())) {
    return fail(EBUSY, "it is the root of a mount, which can't be removed; name what is in it (" + argument +
                           "/*), or use `ciderfs destroy` for the whole volume");
  }
  return {};
}

Status remove(const Arguments& arguments, const std::string& argument, ProgressLine* progress) {
  std::filesystem::path path = TRY(absolute(argument));
  TRY(check_not_root(path, argument));
  std::string name = path.filename();
  if (name.size() > kMaxName) return fail(ENAMETOOLONG);
  uint64_t parent = TRY(inode_of(path.parent_path()));
  ControlClient control = TRY(ControlClient::open(path.parent_path()));
  ByteWriter request;
  request.u64(parent).u8(static_cast<uint8_t>(name.size())).raw(name).u8(arguments.flag("skip-trash"));
  request.u8(static_cast<uint8_t>(arguments.integer("threads")));
  TRY(control.request(kRemoveTreeRequest, request.view(),
                      [&](uint64_t count, uint64_t) { progress->update(count); }));
  return {};
}

Status check(const Arguments& arguments) {
  const int64_t threads = arguments.integer("threads");
  return threads < 1 || threads > 255 ? fail(EINVAL, "--threads must be from 1 to 255") : Status();
}

Result<int> run(const Arguments& arguments) {
  if (arguments.flag("skip-trash") && ::geteuid() != 0)
    return fail(EPERM, "only root may delete for good (--skip-trash)");
  ProgressLine progress("Removed entries");
  int code = 0;
  for (const std::string& argument : arguments.positional()) {
    Status removed = remove(arguments, argument, &progress);
    if (removed) continue;
    warn(argument + ": " + removed.error().to_string());
    code = 1;
  }
  return code;
}

}  // namespace

const Command kRmrCommand = {
    .name = "rmr",
    .category = "TOOL",
    .usage = "PATH...",
    .summary = "Remove files and whole trees",
    .description = R"(Examples:
  ciderfs rmr /mnt/photos/old)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 1,
    .max_arguments = SIZE_MAX,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
