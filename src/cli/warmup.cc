// `ciderfs warmup`: has a mount cache files before they are read, or forget or find their blocks.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/terminal.h"
#include "vfs/control_message.h"

namespace cider::cli {
namespace {

constexpr Option kOptions[] = {
    {.name = "file", .alias = "f", .type = OptionType::text, .help = "a file with a path in each line"},
    {.name = "threads",
     .alias = "p",
     .type = OptionType::integer,
     .fallback = "50",
     .help = "files to work on at once"},
    {.name = "background", .alias = "b", .help = "don't wait; the mount's log tells the end"},
    {.name = "evict", .help = "remove the files' blocks from the cache"},
    {.name = "check", .help = "tell how much of the files is cached, and where"},
};

struct Totals {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t miss_bytes = 0;
  uint64_t failed = 0;
  std::map<std::string, uint64_t> locations;
};

Result<std::vector<std::string>> paths_of(const Arguments& arguments) {
  std::vector<std::string> paths = arguments.positional();
  if (!arguments.is_set("file")) return paths;
  const std::string& name = arguments.text("file");
  std::ifstream file(name);
  if (!file) return fail_errno(name);
  for (std::string line; std::getline(file, line);) {
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos) continue;
    paths.push_back(line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1));
  }
  if (file.bad()) return fail(EIO, name + " can't be read");
  return paths;
}

// Paths go to the mount by inode, so that the mount point, bind mounts and symbolic links on the way don't
// matter. The kernel gives a mount's files one device number.
struct Mount {
  std::string some_path;
  std::vector<std::string> inodes;
};

Result<std::map<dev_t, Mount>> by_mount(const std::vector<std::string>& paths, uint64_t* absent) {
  std::map<dev_t, Mount> mounts;
  for (const std::string& path : paths) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0) {
      warn(path + ": " + fail_errno("stat").error().to_string());
      ++*absent;
      continue;
    }
    Mount& mount = mounts[about.st_dev];
    if (mount.some_path.empty()) mount.some_path = TRY(absolute(path));
    mount.inodes.push_back("inode:" + std::to_string(about.st_ino));
  }
  return mounts;
}

Status send(ControlClient& control, const std::string& paths, const Arguments& arguments,
            vfs::CacheAction action, ProgressLine* progress, Totals* totals) {
  ByteWriter request;
  request.u32(static_cast<uint32_t>(paths.size())).raw(paths);
  request.u16(static_cast<uint16_t>(arguments.integer("threads")));
  request.u8(arguments.flag("background")).u8(static_cast<uint8_t>(action));
  const uint64_t before = totals->files;
  const auto text =
      TRY(control.request(static_cast<uint32_t>(vfs::ControlCommand::fill_cache), request.view(),
                          [&](uint64_t files, uint64_t) { progress->update(before + files); }));
  const auto reply = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object()) return fail(EPROTO, "the mount's answer is no JSON object");
  totals->files += reply.value("FileCount", uint64_t{0});
  totals->bytes += reply.value("TotalBytes", uint64_t{0});
  totals->miss_bytes += reply.value("MissBytes", uint64_t{0});
  totals->failed += reply.value("FailedFiles", uint64_t{0});
  const auto locations = reply.find("Locations");
  if (locations == reply.end() || !locations->is_object()) return {};
  for (const auto& [where, bytes] : locations->items()) {
    if (bytes.is_number_unsigned()) totals->locations[where] += bytes.get<uint64_t>();
  }
  return {};
}

Status run_mount(const Mount& mount, const Arguments& arguments, vfs::CacheAction action,
                 ProgressLine* progress, Totals* totals) {
  constexpr size_t kBatch = 500;  // a request on a read-only mount has at most 16 KiB
  ControlClient control = TRY(ControlClient::open(mount.some_path));
  for (size_t begin = 0; begin < mount.inodes.size(); begin += kBatch) {
    std::string paths;
    for (size_t i = begin; i < std::min(begin + kBatch, mount.inodes.size()); i++)
      paths += (paths.empty() ? "" : "\n") + mount.inodes[i];
    TRY(send(control, paths, arguments, action, progress, totals));
  }
  return {};
}

void print_check(const Totals& totals) {
  const auto percent = [&](uint64_t bytes) {
    char text[32];
    std::snprintf(
        text, sizeof text, "%.1f%%",
        totals.bytes == 0 ? 0.0 : 100.0 * static_cast<double>(bytes) / static_cast<double>(totals.bytes));
    return std::string(text);
  };
  if (!totals.locations.empty()) {
    std::vector<std::vector<std::string>> rows = {{"Location", "Size", "Percentage"}};
    for (const auto& [where, bytes] : totals.locations)
      rows.push_back({where, short_size(bytes), percent(bytes)});
    print(table(rows, 0));
  }
  print_line("check cache: " + std::to_string(totals.files) + " files checked, " +
             short_size(totals.bytes - totals.miss_bytes) + " of " + short_size(totals.bytes) + " (" +
             percent(totals.bytes - totals.miss_bytes) + ") cached");
}

Status check(const Arguments& arguments) {
  if (arguments.flag("evict") && arguments.flag("check"))
    return fail(EINVAL, "--evict and --check don't go together");
  if (arguments.flag("check") && arguments.flag("background"))
    return fail(EINVAL, "--check tells what it finds, so it can't go on in the background");
  const int64_t threads = arguments.integer("threads");
  if (threads < 1 || threads > 1000) return fail(EINVAL, "--threads must be from 1 to 1000");
  if (arguments.positional().empty() && !arguments.is_set("file"))
    return fail(EINVAL, "name files or folders, or a list of them with --file");
  return {};
}

Result<int> run(const Arguments& arguments) {
  const auto action = arguments.flag("evict")   ? vfs::CacheAction::evict
                      : arguments.flag("check") ? vfs::CacheAction::check
                                                : vfs::CacheAction::fill;
  Totals totals;
  const auto mounts = TRY(by_mount(TRY(paths_of(arguments)), &totals.failed));
  {
    ProgressLine progress("Files");
    for (const auto& [device, mount] : mounts) {
      if (Status done = run_mount(mount, arguments, action, &progress, &totals); !done)
        return fail(done.error().code, mount.some_path + ": " + done.error().to_string());
    }
  }
  if (arguments.flag("background")) return totals.failed == 0 ? 0 : 1;
  if (action == vfs::CacheAction::check) {
    print_check(totals);
  } else {
    print_line((action == vfs::CacheAction::fill ? "warmup cache: " : "evict cache: ") +
               std::to_string(totals.files) + " files (" + short_size(totals.bytes) + ")");
  }
  if (totals.failed == 0) return 0;
  warn(std::to_string(totals.failed) + " paths or files could not be done; the mount's log says which");
  return 1;
}

}  // namespace

const Command kWarmupCommand = {
    .name = "warmup",
    .category = "TOOL",
    .usage = "[PATH...]",
    .summary = "Cache files and whole trees",
    .description =
        R"(The mount reads the blocks of the files that aren't cached yet, and keeps them in its cache.

Examples:
  ciderfs warmup /mnt/photos/2024
  ciderfs warmup --file paths.txt
  ciderfs warmup --check /mnt/photos)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 0,
    .max_arguments = SIZE_MAX,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
