#include "meta/store/sql/server/url_options.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace cider::meta::sql::server {
namespace {

bool is_name(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

}  // namespace

Result<int> option_number(std::string_view name, std::string_view value) {
  int out = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), out);
  if (parsed.ec == std::errc() && parsed.ptr == value.data() + value.size() && out >= 0) return out;
  return fail(EINVAL, std::string(name) + " wants a number, not '" + std::string(value) + "'");
}

Result<bool> take_option(std::string_view name, std::string_view value, UrlOptions* out) {
  if (name == "max_open_conns") {
    const int limit = TRY(option_number(name, value));
    if (limit > 0) out->max_connections = limit;
  } else if (name == "max_idle_conns" || name == "max_idle_time" || name == "max_life_time") {
    TRY(option_number(name, value));  // connections are kept, and made anew when they break
  } else if (name == "table_prefix") {
    if (!is_name(value)) {
      return fail(EINVAL, "table_prefix '" + std::string(value) +
                              "' has other characters than letters, digits and _");
    }
    out->table_prefix = value;
  } else {
    return false;
  }
  return true;
}

}  // namespace cider::meta::sql::server
