// URLs: in messages, and what is escaped in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cider {

// The URL with "****" in place of a password: of scheme://USER:PASSWORD@REST. Others unchanged.
std::string without_password(const std::string& url);

// With each % and two hexadecimal digits replaced by the byte that they name; nullopt where a % has no two.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace cider
