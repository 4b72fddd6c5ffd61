// The form in which the placement driver knows keys: groups of eight bytes, padded with zeros, each followed
// by 255 less the number of padding bytes. It keeps the keys' order.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::meta::kv {

std::string to_region_key(std::string_view key);
// EIO where it is in no such form.
Result<std::string> from_region_key(std::string_view key);

}  // namespace cider::meta::kv
