// The program: finds the command, parses its arguments, runs it, prints what went wrong.
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/hide_secrets.h"
#include "cli/log_level.h"
#include "cli/mount_helper.h"
#include "cli/terminal.h"

namespace cider::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

void complain(std::string_view command, const std::string& what) {
  std::fprintf(stderr, "ciderfs%s%.*s: %s\n", command.empty() ? "" : " ", static_cast<int>(command.size()),
               command.data(), what.c_str());
}

int run_command(const Command& command, const std::vector<std::string>& words) {
  Result<Arguments> arguments = parse_arguments(command, words);
  if (!arguments) {
    complain(command.name, arguments.error().to_string());
    return kWrongUsage;
  }
  if (arguments->wants_help()) {
    print(command_help(command));
    return 0;
  }
  log::configure({.level = log_level(*arguments), .file = {}});
  if (Status checked = command.check ? command.check(*arguments) : Status(); !checked) {
    complain(command.name, checked.error().to_string());
    return kWrongUsage;
  }
  Result<int> code = command.run(*arguments);
  if (code) return *code;
  complain(command.name, code.error().to_string());
  return kFailed;
}

// Becomes `ciderfs mount ...`, so that the process is listed under that name whoever started it.
int run_mount_helper(const std::vector<std::string>& words) {
  Result<std::vector<std::string>> translated = translate_helper_words(words, ::geteuid() == 0);
  if (!translated) {
    complain("", "mount.ciderfs: " + translated.error().to_string());
    return kWrongUsage;
  }
  if (translated->empty()) return 0;
  char path[4096];
  ssize_t length = ::readlink("/proc/self/exe", path, sizeof path - 1);
  std::vector<char*> argv = {length > 0 ? (path[length] = '\0', path) : nullptr};
  if (argv[0] == nullptr) return run_command(kMountCommand, {translated->begin() + 1, translated->end()});
  for (std::string& word : *translated) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());
  return run_command(kMountCommand, {translated->begin() + 1, translated->end()});
}

// Global options may stand before the command's name.
int run_program(std::vector<std::string> words) {
  size_t at = 0;
  while (at < words.size() && words[at].starts_with('-')) {
    if (words[at] == "--version" || words[at] == "-V") return run_command(kVersionCommand, {});
    if (words[at] == "--help" || words[at] == "-h") {
      print(program_help());
      return 0;
    }
    ++at;
  }
  if (at == words.size()) {
    std::fputs(program_help().c_str(), stderr);
    return kWrongUsage;
  }
  const Command* command = find_command(words[at]);
  // As mount.fuse starts the program for the type fuse.ciderfs, a remount for example.
  if (command == nullptr && words[at].find(':') != std::string::npos) return run_mount_helper(words);
  if (command == nullptr) {
    complain("", "there is no command \"" + words[at] + "\"; see `ciderfs help`");
    return kWrongUsage;
  }
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
  return run_command(*command, words);
}

int run(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  hide_secrets(argc, argv);
  if (is_mount_helper(argv[0])) return run_mount_helper(words);
  return run_program(std::move(words));
}

}  // namespace
}  // namespace cider::cli

int main(int argc, char** argv) try {
  return cider::cli::run(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "ciderfs: unexpected: %s\n", error.what());
  return 1;
}
