#include "base/testing/sockets.h"

#include <poll.h>
#include <sys/socket.h>

namespace cider::testing {

bool readable(int fd, int milliseconds) {
  pollfd look{fd, POLLIN, 0};
  return ::poll(&look, 1, milliseconds) > 0;
}

std::string receive(int fd) {
  std::string bytes(1 << 16, '\0');
  const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return bytes;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace cider::testing
