// Sizes and durations as people write them on the command line and as commands print them. Notation:
// JuiceFS's, so that scripts keep working ("4M", "100G", "300"; "12s", "1.5", "2d12h").
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cider {

// Bytes of "4M", "1.5G", "512K", "100B"; units are powers of 1024 up to E, in either case, "M", "MiB" and
// "MB" being the same. A bare number counts in `unit` (one of "BKMGTPE"). EINVAL names the text.
Result<uint64_t> parse_size(std::string_view text, char unit);

// "12s", "100ms", "1h30m", "2d", a bare number of seconds ("1.5"); units d h m s ms us ns. EINVAL names the
// text; negative durations are refused.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

// A whole decimal number with nothing around it. EINVAL names the text.
Result<int64_t> parse_integer(std::string_view text);

// "10 GiB", "4.0 KiB", "0 B": one decimal below ten, none above.
std::string short_size(uint64_t bytes);
// "70.00 MiB (73400320 Bytes)".
std::string long_size(uint64_t bytes);
// "10,485,760".
std::string grouped(uint64_t number);

}  // namespace cider
