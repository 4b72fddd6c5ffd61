// Times as RFC 3339 text, the way Go writes them: "2026-11-22T15:46:32.6151Z", trailing zeros of the fraction
// left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace cider::meta {

// With the offset of the local time zone ("Z" if that is UTC), by TZ as tzset() read it last.
std::string format_rfc3339(Time time);
// Any offset, up to nine digits of a fraction. nullopt if it is no such text.
std::optional<Time> parse_rfc3339(std::string_view text);

}  // namespace cider::meta
