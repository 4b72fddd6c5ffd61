#include <string>

#include "base/version.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"

namespace cider::cli {
namespace {

Result<int> run(const Arguments&) {
  print_line("ciderfs version " + std::string(ciderfs_version()) + " (volumes as JuiceFS " +
             std::string(kCompatibleVersion) + ")");
  return 0;
}

}  // namespace

const Command kVersionCommand = {
    .name = "version",
    .category = "ADMIN",
    .usage = "",
    .summary = "Show the version",
    .description = {},
    .options = {},
    .unsupported = {},
    .min_arguments = 0,
    .max_arguments = 0,
    .run = run,
};

}  // namespace cider::cli
