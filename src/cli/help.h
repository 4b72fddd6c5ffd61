// Help texts, made from the declarations of the commands.
#pragma once

#include <string>

#include "cli/options.h"

namespace cider::cli {

std::string program_help();
std::string command_help(const Command& command);
// The reference page, docs/cli.md.
std::string markdown_reference();

}  // namespace cider::cli
