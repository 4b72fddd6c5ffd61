// `ciderfs info`: what a mount knows of a file or directory. Prints what `juicefs info` prints.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/types.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/terminal.h"

namespace cider::cli {
namespace {

using Json = nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

constexpr uint32_t kInfoRequest = 1005;

constexpr Option kOptions[] = {
    {.name = "inode",
     .alias = "i",
     .help = "the arguments are inode numbers of the mount that the current directory is in"},
    {.name = "recursive", .alias = "r", .help = "add up all that is below a directory"},
    {.name = "strict", .help = "count entry by entry instead of using statistics"},
    {.name = "raw", .help = "show slices instead of objects"},
};

// Fields that may be missing or null read as nothing.
uint64_t number(const Json& json, const char* field) {
  auto found = json.find(field);
  return found != json.end() && found->is_number() ? found->get<uint64_t>() : 0;
}
std::string text(const Json& json, const char* field) {
  auto found = json.find(field);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}
std::string cell(const Json& json, const char* field) {
  return std::to_string(number(json, field));
}
const Json& items(const Json& json, const char* field) {
  static const Json kNone = Json::array();
  auto found = json.find(field);
  return found != json.end() && found->is_array() ? *found : kNone;
}
const Json& object(const Json& json, const char* field) {
  static const Json kNone = Json::object();
  auto found = json.find(field);
  return found != json.end() && found->is_object() ? *found : kNone;
}

void print_table(const char* title, const Rows& rows, int left_column) {
  if (rows.size() > 1) print(std::string(title) + "\n" + table(rows, left_column));
}

void print_slices(const Json& info) {
  Rows rows = {{"chunkIndex", "sliceId", "size", "offset", "length"}};
  for (const Json& slice : items(info, "Chunks")) {
    rows.push_back({cell(slice, "ChunkIndex"), cell(slice, "Id"), cell(slice, "Size"), cell(slice, "Off"),
                    cell(slice, "Len")});
  }
  print_table(" chunks:", rows, -1);
}

void print_objects(const Json& info, uint64_t length) {
  Rows rows = {{"chunkIndex", "objectName", "size", "offset", "length", "pos"}};
  uint64_t in_chunk = 0;
  uint64_t last_chunk = 0;
  for (const Json& block : items(info, "Objects")) {
    uint64_t chunk = number(block, "ChunkIndex");
    if (chunk != last_chunk) in_chunk = 0;
    uint64_t pos = chunk * kChunkSize + in_chunk;
    if (pos + number(block, "Len") > length) break;  // behind the end of the file
    last_chunk = chunk;
    rows.push_back({cell(block, "ChunkIndex"), text(block, "Key"), cell(block, "Size"), cell(block, "Off"),
                    cell(block, "Len"), std::to_string(pos)});
    in_chunk += number(block, "Len");
  }
  print_table(" objects:", rows, 1);
}

void print_locks(const Json& info) {
  Rows flocks = {{"Sid", "Owner", "Type"}};
  for (const Json& lock : items(info, "FLocks"))
    flocks.push_back({cell(lock, "Sid"), cell(lock, "Owner"), text(lock, "Type")});
  print_table(" flocks:", flocks, 0);
  Rows plocks = {{"Sid", "Owner", "Type", "Pid", "Start", "End"}};
  for (const Json& lock : items(info, "PLocks")) {
    uint64_t type = number(lock, "Type");
    plocks.push_back({cell(lock, "Sid"), cell(lock, "Owner"),
                      type == 0   ? "R"
                      : type == 1 ? "W"
                                  : "UNKNOWN",
                      cell(lock, "Pid"), cell(lock, "Start"), cell(lock, "End")});
  }
  print_table(" plocks:", plocks, 0);
}

void print_info(const std::string& path, const Json& info) {
  const Json& summary = object(info, "Summary");
  print_line(path + " :");
  print_line("  inode: " + cell(info, "Ino"));
  print_line("  files: " + cell(summary, "Files"));
  print_line("   dirs: " + cell(summary, "Dirs"));
  print_line(" length: " + long_size(number(summary, "Length")));
  print_line("   size: " + long_size(number(summary, "Size")));
  const Json& paths = items(info, "Paths");
  if (paths.size() > 1) {
    print_line("  paths:");
    for (const Json& each : paths) {
      if (each.is_string()) print_line("\t" + each.get<std::string>());
    }
  } else {
    print_line("   path: " +
               (paths.empty() || !paths[0].is_string() ? "unknown" : paths[0].get<std::string>()));
  }
  print_slices(info);
  print_objects(info, number(summary, "Length"));
  print_locks(info);
}

Status show(const Arguments& arguments, const std::string& argument) {
  uint64_t ino = 0;
  std::string near = ".";
  if (arguments.flag("inode")) {
    ino = static_cast<uint64_t>(TRY(parse_integer(argument)));
  } else {
    near = TRY(absolute(argument));
    ino = TRY(inode_of(near));
  }
  ControlClient control = TRY(ControlClient::open(near));
  ByteWriter request;
  request.u64(ino).u8(arguments.flag("recursive")).u8(arguments.flag("raw")).u8(arguments.flag("strict"));
  ProgressLine progress("Entries");
  std::string reply = TRY(control.request(kInfoRequest, request.view(),
                                          [&](uint64_t count, uint64_t) { progress.update(count); }));
  Json info = Json::parse(reply, nullptr, /*allow_exceptions=*/false);
  if (!info.is_object()) return fail(EPROTO, "the mount's answer is no JSON object");
  if (info.value("Failed", false)) return fail(EIO, text(info, "Reason"));
  print_info(argument, info);
  return {};
}

Status check(const Arguments& arguments) {
  if (!arguments.flag("inode")) return {};
  for (const std::string& argument : arguments.positional()) {
    const auto ino = parse_integer(argument);
    if (!ino || *ino < 1) return fail(EINVAL, "\"" + argument + "\" is not the number of an inode");
  }
  return {};
}

Result<int> run(const Arguments& arguments) {
  int code = 0;
  for (const std::string& argument : arguments.positional()) {
    Status shown = show(arguments, argument);
    if (shown) continue;
    warn(argument + ": " + shown.error().to_string());
    code = 1;
  }
  return code;
}

}  // namespace

const Command kInfoCommand = {
    .name = "info",
    .category = "INSPECTOR",
    .usage = "PATH|INODE...",
    .summary = "Show what is behind a file or directory",
    .description =
        R"(Asks the mount that the path lies in: size, paths, the objects that hold the data, locks.

Examples:
  ciderfs info /mnt/photos/a.jpg
  ciderfs info -r /mnt/photos
  cd /mnt/photos && ciderfs info -i 100)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 1,
    .max_arguments = SIZE_MAX,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
