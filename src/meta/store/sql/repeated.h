// The texts of statements that do for many rows what another does for one: a server that parses each
// statement anew takes several times as long for sixteen of them as for one with sixteen rows.
#pragma once

#include <cstddef>

namespace cider::meta::sql {

// Texts are kept for each number of rows, so there is a limit.
inline constexpr size_t kMostRows = 64;

// A statement in common form with so many times its values: an INSERT with its last parentheses repeated, a
// SELECT or DELETE with its condition repeated by OR. `times` is 1 to kMostRows. Lives as long as the
// process, as a Statement's text has to; `text` is a literal. Thread-safe.
const char* repeated(const char* text, size_t times);

}  // namespace cider::meta::sql
