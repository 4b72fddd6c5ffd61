// JSON text as Go's encoding/json writes it, so that documents stay byte-identical with those of JuiceFS.
#pragma once

#include <string>
#include <string_view>

namespace cider::meta {

// Writes <, >, &, U+2028 and U+2029 as \uXXXX. `json` is whole JSON text: those characters stand in strings
// alone.
std::string escape_like_go(std::string_view json);

}  // namespace cider::meta
