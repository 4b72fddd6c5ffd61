#include "meta/store/redis/dial.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;

// connect() with a time limit.
Status connect_within(int fd, const sockaddr* address, socklen_t size, milliseconds limit) {
  if (::connect(fd, address, size) == 0) return {};
  if (errno != EINPROGRESS && errno != EAGAIN) return fail(errno);
  TRY(wait_ready(fd, POLLOUT, limit));
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return fail(errno);
  if (error != 0) return fail(error);
  return {};
}

Result<UniqueFd> connect_unix(const std::string& path, milliseconds limit) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(EINVAL, "the socket's path is too long: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return fail_errno("socket");
  TRY(connect_within(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address, limit));
  return fd;
}

// An option that helps, but without which all works.
void set(int fd, int level, int option, int value) {
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

Result<UniqueFd> connect_tcp(const Address& to, milliseconds limit) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (int error = ::getaddrinfo(to.host.c_str(), to.port.c_str(), &hints, &list); error != 0)
    return fail(EHOSTUNREACH, ::gai_strerror(error));
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  int code = EHOSTUNREACH;
  for (addrinfo* a = list; a != nullptr; a = a->ai_next) {
    UniqueFd fd(::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.get() < 0) continue;
    Status done = connect_within(fd.get(), a->ai_addr, a->ai_addrlen, limit);
    if (!done) {
      code = done.error().code;
      continue;
    }
    set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    // Firewalls forget connections that are idle for minutes, without telling either end.
    set(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, 3);
    return fd;
  }
  return fail(code);
}

}  // namespace

Result<std::unique_ptr<Socket>> dial(const RedisUrl& url, const Address& address) {
  auto fd = address.is_unix() ? connect_unix(address.host, url.dial_timeout)
                              : connect_tcp(address, url.dial_timeout);
  if (!fd) return fail(fd.error().code, "connect to " + address.to_string() + ": " + fd.error().to_string());
  if (!url.tls) return plain_socket(*std::move(fd), url.write_timeout);
  return tls_socket(*std::move(fd), url.write_timeout, *url.tls, address.host, url.dial_timeout);
}

}  // namespace cider::meta::redis
