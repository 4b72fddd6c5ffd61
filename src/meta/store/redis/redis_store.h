// The engine on a Redis (or Valkey) server, in the key layout of JuiceFS.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "meta/store/store.h"

namespace cider::meta {

// Connects. EINVAL for a URL that is not valid or not supported; errors of the network and of authentication.
Result<std::unique_ptr<Store>> open_redis(std::string_view url, bool read_only);

}  // namespace cider::meta
