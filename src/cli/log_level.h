// --verbose, --trace and --quiet.
#pragma once

#include "base/log.h"
#include "cli/arguments.h"

namespace cider::cli {

inline log::Level log_level(const Arguments& arguments) {
  if (arguments.flag("trace")) return log::Level::trace;
  if (arguments.flag("verbose") || arguments.flag("debug")) return log::Level::debug;
  if (arguments.flag("quiet")) return log::Level::warning;
  return log::Level::info;
}

}  // namespace cider::cli
