#include "cli/help.h"

#include <algorithm>
#include <vector>

#include "base/version.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"

namespace cider::cli {
namespace {

// Spellings in front, what they mean behind.
struct Row {
  std::string left;
  std::string right;
};

std::string dashed(std::string_view name) {
  return (name.size() == 1 ? "-" : "--") + std::string(name);
}

std::string spelling(const Option& option) {
  std::string out = dashed(option.name);
  if (!option.alias.empty()) out += ", " + dashed(option.alias);
  if (option.type != OptionType::flag) out += " VALUE";
  return out;
}

// "~DATA", "~CACHE" and "~LOG" depend on who runs the program; a page for everybody names the place for root.
std::string shown_fallback(std::string_view fallback) {
  if (fallback == "~DATA") return "/var/jfs, or ~/.juicefs/local for users";
  if (fallback == "~CACHE") return "/var/jfsCache, or ~/.juicefs/cache for users";
  if (fallback == "~LOG") return "/var/log/ciderfs.log, or ~/.ciderfs/ciderfs.log for users";
  return std::string(fallback);
}

std::string meaning(const Option& option) {
  std::string out(option.help);
  if (!option.fallback.empty()) out += " (default: " + shown_fallback(option.fallback) + ")";
  return out;
}

std::string columns(const std::vector<Row>& rows) {
  size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.left.size());
  std::string out;
  for (const Row& row : rows)
    out += "   " + row.left + std::string(width - row.left.size() + 2, ' ') + row.right + "\n";
  return out;
}

// Calls visit(group, options) for each group, in the order of the table.
template <class Visit>
void for_each_group(std::span<const Option> options, Visit&& visit) {
  std::vector<const Option*> group;
  std::string_view name;
  auto flush = [&] {
    if (!group.empty()) visit(name, group);
    group.clear();
  };
  for (const Option& option : options) {
    if (option.hidden) continue;
    if (option.group != name) flush();
    name = option.group;
    group.push_back(&option);
  }
  flush();
}

std::string option_lines(std::span<const Option> options) {
  std::string out;
  for_each_group(options, [&](std::string_view name, const std::vector<const Option*>& group) {
    if (!name.empty()) out += "\n   " + std::string(name) + "\n";
    std::vector<Row> rows;
    for (const Option* option : group) rows.push_back({spelling(*option), meaning(*option)});
    out += columns(rows);
  });
  return out;
}

std::vector<std::string_view> categories() {
  std::vector<std::string_view> names;
  for (const Command* command : commands()) {
    if (std::find(names.begin(), names.end(), command->category) == names.end())
      names.push_back(command->category);
  }
  return names;
}

void add_markdown(std::string* out, std::span<const Option> options) {
  for_each_group(options, [&](std::string_view name, const std::vector<const Option*>& group) {
    if (!name.empty()) *out += "**" + std::string(name) + "**\n\n";
    *out += "| Option | Default | Meaning |\n|---|---|---|\n";
    for (const Option* option : group) {
      std::string fallback = shown_fallback(option->fallback);
      *out += "| `" + spelling(*option) + "` | " + (fallback.empty() ? "" : "`" + fallback + "`") + " | " +
              std::string(option->help) + " |\n";
    }
    *out += "\n";
  });
}

std::string command_markdown(const Command& command) {
  std::string out =
      "## ciderfs " + std::string(command.name) + "\n\n" + std::string(command.summary) + ".\n\n";
  out += "    ciderfs " + std::string(command.name) + (command.options.empty() ? " " : " [options] ") +
         std::string(command.usage) + "\n\n";
  if (!command.description.empty()) out += "```\n" + std::string(command.description) + "\n```\n\n";
  add_markdown(&out, command.options);
  if (!command.unsupported.empty()) {
    out +=
        "JuiceFS options that this version refuses:\n\n| Option | Accepted values | Instead "
        "|\n|---|---|---|\n";
    for (const UnsupportedOption& option : command.unsupported) {
      std::string harmless;
      std::string_view rest = option.takes_value ? option.harmless : std::string_view("false");
      while (!rest.empty()) {
        size_t bar = rest.find('|');
        std::string_view value = rest.substr(0, bar);
        if (!harmless.empty()) harmless += ", ";
        harmless += value == "-" ? "empty" : "`" + std::string(value) + "`";
        rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
      }
      out += "| `--" + std::string(option.name) + "` | " + harmless + " | " + std::string(option.advice) +
             " |\n";
    }
    out += "\n";
  }
  return out;
}

}  // namespace

std::string program_help() {
  std::string out = "ciderfs " + std::string(ciderfs_version()) +
                    ": a POSIX file system on a database and an object store, on JuiceFS's volume format\n\n"
                    "USAGE:\n   ciderfs [global options] COMMAND [options] [arguments]\n\nCOMMANDS:\n";
  for (std::string_view category : categories()) {
    out += "   " + std::string(category) + "\n";
    std::vector<Row> rows;
    for (const Command* command : commands()) {
      if (command->category == category && !command->hidden) {
        rows.push_back({"  " + std::string(command->name), std::string(command->summary)});
      }
    }
    out += columns(rows);
  }
  return out + "\nGLOBAL OPTIONS:\n" + option_lines(global_options()) +
         "   --help, -h     show help\n   --version, -V  show the version\n\n"
         "`ciderfs help COMMAND` tells more about a command.\n";
}

std::string command_help(const Command& command) {
  std::string out = "ciderfs " + std::string(command.name) + ": " + std::string(command.summary) +
                    "\n\nUSAGE:\n   ciderfs " + std::string(command.name) +
                    (command.options.empty() ? " " : " [options] ") + std::string(command.usage) + "\n";
  if (!command.description.empty()) out += "\n" + std::string(command.description) + "\n";
  if (!command.options.empty()) out += "\nOPTIONS:\n" + option_lines(command.options);
  return out;
}

std::string markdown_reference() {
  std::string out =
      "# Commands of ciderfs\n\n"
      "Made by `ciderfs help --markdown`; change the declarations in src/cli/ instead of this page.\n\n"
      "Names, defaults and units are JuiceFS's where the meaning is the same. Options may stand before or "
      "after the other\n"
      "arguments, as `--name value` or `--name=value`. An option that is not listed here is refused.\n\n"
      "The exit code is 0 for success, 1 if the command failed, and 2 if nothing was done because the "
      "command line is\n"
      "wrong: an option or command that is unknown or not supported, a value that is wrong for any volume, "
      "or an argument\n"
      "missing.\n\n"
      "Sizes: `4M`, `1.5G`, `300` (in the unit that the option names). Durations: `12s`, `100ms`, `1h30m`, "
      "`1.5` (seconds).\n\n"
      "## Global options\n\n";
  add_markdown(&out, global_options());
  for (const Command* command : commands()) {
    if (!command->hidden) out += command_markdown(*command);
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

namespace {

constexpr Option kOptions[] = {
    {.name = "markdown", .help = "print the reference page of all commands", .hidden = true},
};

Status check(const Arguments& arguments) {
  if (arguments.positional().empty() || find_command(arguments[0]) != nullptr) return {};
  return fail(EINVAL, "there is no command \"" + arguments[0] + "\"; see `ciderfs help`");
}

Result<int> run(const Arguments& arguments) {
  if (arguments.flag("markdown")) {
    print(markdown_reference());
  } else if (arguments.positional().empty()) {
    print(program_help());
  } else {
    print(command_help(*find_command(arguments[0])));
  }
  return 0;
}

}  // namespace

const Command kHelpCommand = {
    .name = "help",
    .category = "GENERAL",
    .usage = "[COMMAND]",
    .summary = "Show help",
    .description = {},
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 0,
    .max_arguments = 1,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
