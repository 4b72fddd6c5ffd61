#include "meta/model/json_text.h"

#include <array>
#include <utility>

namespace cider::meta {

std::string escape_like_go(std::string_view json) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kEscapes = {{
      {"<", "\\u003c"},
      {">", "\\u003e"},
      {"&", "\\u0026"},
      {"\xe2\x80\xa8", "\\u2028"},
      {"\xe2\x80\xa9", "\\u2029"},
  }};
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    size_t taken = 0;
    for (const auto& [plain, escape] : kEscapes) {
      if (!json.starts_with(plain)) continue;
      out.append(escape);
      taken = plain.size();
      break;
    }
    if (taken == 0) {
      out.push_back(json.front());
      taken = 1;
    }
    json.remove_prefix(taken);
  }
  return out;
}

}  // namespace cider::meta
