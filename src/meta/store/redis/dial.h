// Connections to an address, with the URL's time limits and TLS.
#pragma once

#include <memory>

#include "base/result.h"
#include "meta/store/redis/redis_url.h"
#include "meta/store/redis/socket.h"

namespace cider::meta::redis {

Result<std::unique_ptr<Socket>> dial(const RedisUrl& url, const Address& address);

}  // namespace cider::meta::redis
