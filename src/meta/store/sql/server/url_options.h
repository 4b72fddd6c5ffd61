// Options that JuiceFS's URLs of SQL servers have in common: max_open_conns, max_idle_conns, max_idle_time,
// max_life_time, table_prefix.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::meta::sql::server {

struct UrlOptions {
  std::string table_prefix;  // a part of tables' names
  int max_connections = 10;
};

// False: it is none of them. EINVAL: what is wrong with the value.
Result<bool> take_option(std::string_view name, std::string_view value, UrlOptions* out);

// EINVAL: "`name` wants a number, not ...".
Result<int> option_number(std::string_view name, std::string_view value);

}  // namespace cider::meta::sql::server
