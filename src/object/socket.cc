#include "object/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <memory>

namespace cider::object {
namespace {

Result<UniqueFd> connect_one(const addrinfo& to, const std::string& name, Millis limit, Waiter& waiter) {
  UniqueFd socket(::socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno("socket");
  int error = ::connect(socket.get(), to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    if (Status ready = waiter.wait(socket.get(), POLLOUT, limit); !ready) {
      return fail(ready.error().code, "connect to " + name + ": " + ready.error().to_string());
    }
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) return fail(error, "connect to " + name + ": " + Error{error, {}}.to_string());
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return socket;
}

}  // namespace

void Waiter::Wake::operator()() const {
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t done = ::write(fd, &one, sizeof one);
}

Waiter::Waiter(std::stop_token stop) : stop_(std::move(stop)) {
  if (!stop_.stop_possible()) return;
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake_) callback_.emplace(stop_, Wake{wake_.get()});
}

Status Waiter::wait(int fd, short events, Millis limit) {
  const auto until = Monotonic::now() + limit;
  while (true) {
    if (stop_.stop_requested()) return fail(EINTR);
    const auto left = std::chrono::ceil<Millis>(until - Monotonic::now());
    if (left <= Millis(0)) return fail(ETIMEDOUT);
    pollfd watched[2] = {{fd, events, 0}, {wake_.get(), POLLIN, 0}};
    const int ready = ::poll(watched, wake_ ? 2 : 1, static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) return fail_errno("poll");
    if (ready > 0 && watched[0].revents != 0) return {};
  }
}

Result<UniqueFd> connect_tcp(const std::string& host, const std::string& port, Millis limit, Waiter& waiter) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const std::string name = host + ":" + port;
  if (int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0) {
    return fail(EHOSTUNREACH, "the address " + name + " can't be looked up: " + ::gai_strerror(code));
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, &::freeaddrinfo);
  Result<UniqueFd> last = fail(EHOSTUNREACH, "the name " + host + " has no address");
  for (const addrinfo* one = found; one; one = one->ai_next) {
    last = connect_one(*one, name, limit, waiter);
    if (last || last.error().code == EINTR) break;
  }
  return last;
}

Result<UniqueFd> connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(EINVAL, "the path of the socket is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno("socket");
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    // ENOENT would say that an object is missing.
    const int code = errno == ENOENT ? ECONNREFUSED : errno;
    return fail(code, "connect to " + path + ": " + Error{errno, {}}.to_string());
  }
  return socket;
}

}  // namespace cider::object
