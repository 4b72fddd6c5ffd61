// A connected byte stream to the server: TCP or a unix socket.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "meta/store/redis/redis_url.h"

namespace cider::meta::redis {

// One thread may send while another receives.
class Socket {
 public:
  virtual ~Socket() = default;
  // All of it. ETIMEDOUT after the URL's write-timeout without progress.
  virtual Status send(std::string_view bytes) = 0;
  // At least one byte; ECONNRESET at the stream's end, ETIMEDOUT after the URL's read-timeout.
  virtual Result<size_t> receive(std::span<char> out) = 0;
  // Makes sends and receives under way fail. Any thread.
  virtual void shut_down() = 0;
};

Result<std::unique_ptr<Socket>> dial(const RedisUrl& url);

}  // namespace cider::meta::redis
