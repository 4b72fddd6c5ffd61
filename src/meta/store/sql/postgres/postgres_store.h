// The metadata engine `postgres`: a volume in a PostgreSQL database, in JuiceFS's tables (sql/server/).
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "meta/store/store.h"

namespace cider::meta {

// EINVAL: the URL (postgres_url.h) cannot be read; ECONNREFUSED: no server answers; EACCES, ENOENT: it
// refuses, or has no such database.
Result<std::unique_ptr<Store>> open_postgres(std::string_view url, bool read_only);

}  // namespace cider::meta
