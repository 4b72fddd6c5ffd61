// Values of a volume's setting that can be worked with.
#pragma once

#include <string_view>

#include "base/result.h"
#include "meta/model/volume.h"

namespace cider::meta {

inline constexpr std::string_view kSm4Gcm = "sm4gcm";  // the algorithm of Chinese national standards

// What every reader of a setting relies on: name, uuid, block size, shards and trash days. EINVAL.
Status check_usable(const Volume& volume);

}  // namespace cider::meta
