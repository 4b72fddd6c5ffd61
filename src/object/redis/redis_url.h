// The bucket of the redis storage.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::object {

struct RedisAddress {
  std::string host;
  std::string port = "6379";
  std::string socket;  // of a unix:// URL, instead of host and port
  std::string user;
  std::string password;
  int db = 0;
  bool tls = false;

  std::string shown() const;  // without user and password
};

// redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// likewise for TLS, or
// unix://[[USER]:PASSWORD@]/SOCKET[?db=DB], with %XX in user and password. EINVAL says what is wrong, never
// the password; ENOTSUP for Sentinel and Cluster.
Result<RedisAddress> parse_redis_bucket(std::string_view url);

}  // namespace cider::object
