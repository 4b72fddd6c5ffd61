// Sockets whose waits end on a stop request, for the drivers that speak a protocol over one.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace cider::object {

// Waits for a file descriptor; one request's at a time.
class Waiter {
 public:
  explicit Waiter(std::stop_token stop);

  // Until one of `events` (POLLIN, POLLOUT), an error or the other end's close can be seen on `fd`. EINTR on
  // the stop request, ETIMEDOUT after `limit`.
  Status wait(int fd, short events, Millis limit);

 private:
  struct Wake {
    int fd;
    void operator()() const;
  };
  const std::stop_token stop_;
  UniqueFd wake_;
  std::optional<std::stop_callback<Wake>> callback_;
};

// A connected TCP socket, non-blocking, without delays (TCP_NODELAY). ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT
// ... with the address in the message; ENOENT never: a name that isn't known is EHOSTUNREACH.
Result<UniqueFd> connect_tcp(const std::string& host, const std::string& port, Millis limit, Waiter& waiter);
Result<UniqueFd> connect_unix(const std::string& path);

}  // namespace cider::object
