// Which bytes of a chunk are seen: its records lie over each other, later ones on top.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"

namespace cider {

// The visible parts of `records` (oldest first), sorted by position, not overlapping. A hole record gives a part with id 0;
// where no record reaches there is no part. Neighbouring parts of the same slice that continue each other are joined.
// O(n log n).
std::vector<Slice> visible_parts(std::span<const Slice> records);

// The same over [begin, end) of the chunk, with the gaps filled by parts with id 0: their lengths add up to end - begin.
std::vector<Slice> filled_parts(std::span<const Slice> records, uint32_t begin, uint32_t end);

}  // namespace cider
