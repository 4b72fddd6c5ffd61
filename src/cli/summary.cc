// `ciderfs summary`: sizes in a tree, largest first.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/terminal.h"

namespace cider::cli {
namespace {

using Json = nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

constexpr uint32_t kSummaryRequest = 1007;
constexpr int64_t kMaxDepth = 10;
constexpr int64_t kMaxEntries = 100;
constexpr int kDirectory = 2;

constexpr Option kOptions[] = {
    {.name = "depth",
     .alias = "d",
     .type = OptionType::integer,
     .fallback = "2",
     .help = "levels to show, up to 10"},
    {.name = "entries",
     .alias = "e",
     .type = OptionType::integer,
     .fallback = "10",
     .help = "entries per directory, up to 100"},
    {.name = "strict", .help = "count entry by entry instead of using statistics"},
    {.name = "csv", .help = "print comma-separated values, sizes in bytes"},
};

uint64_t number(const Json& json, const char* field) {
  auto found = json.find(field);
  return found != json.end() && found->is_number() ? found->get<uint64_t>() : 0;
}

void add_rows(const Json& tree, bool csv, Rows* rows) {
  if (!tree.is_object()) return;
  auto path = tree.find("Path");
  std::string name = path != tree.end() && path->is_string() ? path->get<std::string>() : "?";
  if (number(tree, "Type") == kDirectory && !name.ends_with('/')) name += "/";
  uint64_t size = number(tree, "Size");
  rows->push_back({name, csv ? std::to_string(size) : short_size(size), std::to_string(number(tree, "Dirs")),
                   std::to_string(number(tree, "Files"))});
  if (auto children = tree.find("Children"); children != tree.end() && children->is_array()) {
    for (const Json& child : *children) add_rows(child, csv, rows);
  }
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string csv_text(const Rows& rows) {
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) out += (i > 0 ? "," : "") + csv_field(row[i]);
    out += "\n";
  }
  return out;
}

Status check(const Arguments& arguments) {
  const int64_t depth = arguments.integer("depth");
  const int64_t entries = arguments.integer("entries");
  if (depth < 0 || depth > kMaxDepth) return fail(EINVAL, "--depth must be from 0 to 10");
  if (entries < 0 || entries > kMaxEntries) return fail(EINVAL, "--entries must be from 0 to 100");
  return {};
}

Result<int> run(const Arguments& arguments) {
  std::string path = TRY(absolute(arguments[0]));
  uint64_t ino = TRY(inode_of(path));
  ControlClient control = TRY(ControlClient::open(path));
  ByteWriter request;
  request.u64(ino)
      .u8(static_cast<uint8_t>(arguments.integer("depth")))
      .u8(static_cast<uint8_t>(arguments.integer("entries")))
      .u8(arguments.flag("strict"));
  std::string reply;
  {
    ProgressLine progress("Entries");
    reply = TRY(control.request(kSummaryRequest, request.view(),
                                [&](uint64_t count, uint64_t) { progress.update(count); }));
  }
  Json summary = Json::parse(reply, nullptr, /*allow_exceptions=*/false);
  if (!summary.is_object()) return fail(EPROTO, "the mount's answer is no JSON object");
  if (uint64_t error = number(summary, "Errno"); error != 0) return fail(static_cast<int>(error));
  Rows rows = {{"PATH", "SIZE", "DIRS", "FILES"}};
  if (auto tree = summary.find("Tree"); tree != summary.end()) add_rows(*tree, arguments.flag("csv"), &rows);
  print(arguments.flag("csv") ? csv_text(rows) : table(rows, 0));
  return 0;
}

}  // namespace

const Command kSummaryCommand = {
    .name = "summary",
    .category = "INSPECTOR",
    .usage = "PATH",
    .summary = "Show the sizes in a directory tree",
    .description = R"(Examples:
  ciderfs summary /mnt/photos
  ciderfs summary --depth 5 --entries 20 /mnt/photos)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 1,
    .max_arguments = 1,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
