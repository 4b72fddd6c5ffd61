// The options of `mount`, and what they ask for.
#pragma once

#include <span>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/mounted_volume.h"

namespace cider::cli {

std::span<const Option> mount_options();
std::span<const UnsupportedOption> unsupported_mount_options();

// Everything that can be said without opening the volume. EINVAL names the option and its value.
Result<MountPlan> plan_mount(const Arguments& arguments);

}  // namespace cider::cli
