// META URLs of Redis: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], unix://[[USER]:PASSWORD@]/PATH[?db=DB],
// with JuiceFS's options after `?`.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::meta::redis {

struct RedisUrl {
  std::string host;  // empty: a unix socket
  std::string port = "6379";
  std::string path;  // of a unix socket
  std::string user;
  std::string password;
  int db = 0;
  std::chrono::milliseconds dial_timeout{5'000};
  std::chrono::milliseconds read_timeout{30'000};
  std::chrono::milliseconds write_timeout{5'000};

  // For people: without user and password.
  std::string describe() const;
};

// EINVAL with what is wrong. The environment's META_PASSWORD (or the file META_PASSWORD_FILE names) stands in
// for a password that the URL lacks.
Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace cider::meta::redis
