#include "cli/commands.h"

namespace cider::cli {
namespace {

constexpr const Command* kCommands[] = {
    &kFormatCommand, &kConfigCommand, &kDestroyCommand, &kVersionCommand, &kStatusCommand,
    &kGcCommand,     &kInfoCommand,   &kSummaryCommand, &kMountCommand,   &kUmountCommand,
    &kRmrCommand,    &kWarmupCommand, &kMdtestCommand,  &kHelpCommand,
};

constexpr Option kGlobalOptions[] = {
    {.name = "verbose", .alias = "v", .help = "log details, for debugging"},
    {.name = "debug", .help = "the same as --verbose", .hidden = true},
    {.name = "trace", .help = "log everything"},
    {.name = "quiet", .alias = "q", .help = "log warnings and errors only"},
    {.name = "no-color", .help = "accepted; output is never coloured", .hidden = true},
    {.name = "no-agent", .help = "accepted; there is no debug agent", .hidden = true},
};

constexpr UnsupportedOption kUnsupportedGlobalOptions[] = {
    {.name = "log-id", .advice = "leave it out; log lines carry the process id"},
    {.name = "log-level", .advice = "use --verbose, --trace or --quiet"},
    {.name = "pyroscope", .advice = "leave it out; use perf on the process"},
};

}  // namespace

std::span<const Command* const> commands() {
  return kCommands;
}

const Command* find_command(std::string_view name) {
  for (const Command* command : kCommands) {
    if (command->name == name) return command;
  }
  return nullptr;
}

std::span<const Option> global_options() {
  return kGlobalOptions;
}
std::span<const UnsupportedOption> unsupported_global_options() {
  return kUnsupportedGlobalOptions;
}

}  // namespace cider::cli
