// Connected byte streams: plain (TCP, unix) and TLS.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "meta/store/redis/redis_url.h"

namespace cider::meta::redis {

// One thread may send while another receives.
class Socket {
 public:
  virtual ~Socket() = default;
  // All of it. ETIMEDOUT after the write timeout without progress.
  virtual Status send(std::string_view bytes) = 0;
  // At least one byte, but none if nothing comes within `limit`; ECONNRESET at the stream's end.
  virtual Result<size_t> receive(std::span<char> out, std::chrono::milliseconds limit) = 0;
  // What is received comes at its own time, and need not be waited for awake.
  virtual void expect_silence() {}
  // Makes sends and receives under way fail. Any thread.
  virtual void shut_down() = 0;
};

// Over a connected descriptor that does not block.
std::unique_ptr<Socket> plain_socket(UniqueFd fd, std::chrono::milliseconds write_timeout);
// Shakes hands within `limit`. EACCES where the server's certificate does not hold, EINVAL for a file of the
// options that cannot be used. `host` is what the certificate must name unless the options say otherwise.
Result<std::unique_ptr<Socket>> tls_socket(UniqueFd fd, std::chrono::milliseconds write_timeout,
                                           const TlsOptions& options, const std::string& host,
                                           std::chrono::milliseconds limit);

// Until the descriptor is ready for POLLIN or POLLOUT; ETIMEDOUT after `limit`.
Status wait_ready(int fd, short events, std::chrono::milliseconds limit);

}  // namespace cider::meta::redis
