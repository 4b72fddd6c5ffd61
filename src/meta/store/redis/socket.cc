#include "meta/store/redis/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;

class PlainSocket final : public Socket {
 public:
  PlainSocket(int fd, const RedisUrl& url)
      : fd_(fd), read_timeout_(url.read_timeout), write_timeout_(url.write_timeout) {}
  ~PlainSocket() override { ::close(fd_); }
  PlainSocket(const PlainSocket&) = delete;

  Status send(std::string_view bytes) override {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN) {
        TRY(wait(POLLOUT, write_timeout_));
      } else if (errno != EINTR) {
        return fail_errno("send to Redis");
      }
    }
    return {};
  }

  // Waits in poll(), so that the time limit holds; the usual short wait costs one call more than a blocking
  // recv().
  Result<size_t> receive(std::span<char> out) override {
    while (true) {
      TRY(wait(POLLIN, read_timeout_));
      ssize_t n = ::recv(fd_, out.data(), out.size(), MSG_DONTWAIT);
      if (n > 0) return static_cast<size_t>(n);
      if (n == 0) return fail(ECONNRESET, "Redis closed the connection");
      if (errno != EINTR && errno != EAGAIN) return fail_errno("receive from Redis");
    }
  }

  void shut_down() override { ::shutdown(fd_, SHUT_RDWR); }

 private:
  Status wait(short events, milliseconds limit) {
    auto end = std::chrono::steady_clock::now() + limit;
    while (true) {
      auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
      if (left.count() <= 0) return fail(ETIMEDOUT, "Redis did not answer in time");
      pollfd p{fd_, events, 0};
      int n = ::poll(&p, 1, static_cast<int>(left.count()));
      if (n > 0) return {};
      if (n < 0 && errno != EINTR) return fail_errno("poll");
    }
  }

  const int fd_;
  const milliseconds read_timeout_;
  const milliseconds write_timeout_;
};

// connect() with a time limit; the fd is left blocking-free to its user's flags.
Status connect_within(int fd, const sockaddr* address, socklen_t size, milliseconds limit) {
  if (::connect(fd, address, size) == 0) return {};
  if (errno != EINPROGRESS && errno != EAGAIN) return fail(errno);
  pollfd p{fd, POLLOUT, 0};
  int n;
  while ((n = ::poll(&p, 1, static_cast<int>(limit.count()))) < 0 && errno == EINTR) {
  }
  if (n == 0) return fail(ETIMEDOUT);
  int error = 0;
  socklen_t length = sizeof error;
  if (n < 0 || ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return fail(errno);
  if (error != 0) return fail(error);
  return {};
}

Result<std::unique_ptr<Socket>> dial_unix(const RedisUrl& url) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (url.path.size() >= sizeof address.sun_path)
    return fail(EINVAL, "the socket's path is too long: " + url.path);
  std::memcpy(address.sun_path, url.path.data(), url.path.size());
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail_errno("socket");
  auto out = std::make_unique<PlainSocket>(fd, url);
  Status done = connect_within(fd, reinterpret_cast<sockaddr*>(&address), sizeof address, url.dial_timeout);
  if (!done) return fail(done.error().code, "connect to " + url.describe());
  return out;
}

Result<std::unique_ptr<Socket>> dial_tcp(const RedisUrl& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (int error = ::getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &list); error != 0) {
    return fail(EHOSTUNREACH, "host " + url.host + ": " + ::gai_strerror(error));
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  int code = EHOSTUNREACH;
  for (addrinfo* a = list; a != nullptr; a = a->ai_next) {
    int fd = ::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    auto out = std::make_unique<PlainSocket>(fd, url);
    Status done = connect_within(fd, a->ai_addr, a->ai_addrlen, url.dial_timeout);
    if (done) {
      int on = 1;
      (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      return out;
    }
    code = done.error().code;
  }
  return fail(code, "connect to " + url.describe());
}

}  // namespace

Result<std::unique_ptr<Socket>> dial(const RedisUrl& url) {
  return url.host.empty() ? dial_unix(url) : dial_tcp(url);
}

}  // namespace cider::meta::redis
