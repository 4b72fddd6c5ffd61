// The bytes to and from a Redis server: over a socket as it is, or over TLS.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <span>
#include <string>

#include "base/unique_fd.h"
#include "object/socket.h"

namespace cider::object {

// Used by one thread at a time. Waits `limit` for the other end: then ETIMEDOUT.
class RedisStream {
 public:
  virtual ~RedisStream() = default;
  // How much of the pieces went; at least one byte. EPIPE or ECONNRESET when the connection is closed.
  virtual Result<size_t> send(std::span<const iovec> pieces, Waiter& waiter, Millis limit) = 0;
  // 0 when the server has closed the connection.
  virtual Result<size_t> receive(std::span<char> out, Waiter& waiter, Millis limit) = 0;
};

// Over a connected socket that does not block.
std::unique_ptr<RedisStream> plain_stream(UniqueFd socket);
// After a TLS handshake in which the server has proved to be `host` by a certificate that the system's
// authorities vouch for, or those that OpenSSL is told of by SSL_CERT_FILE; EACCES otherwise. TLS 1.2 or
// later.
Result<std::unique_ptr<RedisStream>> tls_stream(UniqueFd socket, const std::string& host, Waiter& waiter,
                                                Millis limit);

}  // namespace cider::object
