// The metadata engine `mysql`: a volume in a database of MySQL, MariaDB or what speaks their protocol, in
// JuiceFS's tables (sql/server/).
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "meta/store/store.h"

namespace cider::meta {

// EINVAL: the URL (mysql_url.h) cannot be read; ECONNREFUSED: no server answers; EACCES, ENOENT: it refuses,
// or has no such database.
Result<std::unique_ptr<Store>> open_mysql(std::string_view url, bool read_only);

}  // namespace cider::meta
