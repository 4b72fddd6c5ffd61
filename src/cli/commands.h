// Every command, each declared and done in the file of its name.
#pragma once

#include "cli/options.h"

namespace cider::cli {

extern const Command kFormatCommand;
extern const Command kConfigCommand;
extern const Command kDestroyCommand;
extern const Command kVersionCommand;
extern const Command kStatusCommand;
extern const Command kInfoCommand;
extern const Command kSummaryCommand;
extern const Command kMountCommand;
extern const Command kUmountCommand;
extern const Command kRmrCommand;
extern const Command kWarmupCommand;
extern const Command kMdtestCommand;
extern const Command kGcCommand;
extern const Command kHelpCommand;

}  // namespace cider::cli
