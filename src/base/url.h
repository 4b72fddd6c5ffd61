// URLs in messages.
#pragma once

#include <string>

namespace cider {

// The URL with "****" in place of a password: of scheme://USER:PASSWORD@REST. Others unchanged.
std::string without_password(const std::string& url);

}  // namespace cider
