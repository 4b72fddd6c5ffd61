#include "meta/testing/unix_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace cider::meta::testing {
namespace {

constexpr int kAnswerLimit = 10'000;  // ms

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

}  // namespace

UniqueFd connect_to(const std::string& socket) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = address_of(socket);
  if (fd.get() < 0 || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return {};
  return fd;
}

std::string receive(int fd) {
  std::string bytes(1 << 16, '\0');
  ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return bytes;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool UnixProxy::readable(int fd, int milliseconds) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, milliseconds) > 0;
}

UnixProxy::UnixProxy(std::string server_socket, const std::string& name)
    : server_socket_(std::move(server_socket)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-proxy-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = address_of(dir_ + "/" + name);
  if (listener_.get() < 0 ||
      ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 64) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
}

UnixProxy::~UnixProxy() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void UnixProxy::start() {
  acceptor_ = std::jthread([this] { accept_all(); });
}

void UnixProxy::stop() {
  stopping_ = true;
  acceptor_.join();
  threads_.clear();
}

void UnixProxy::strike(Fault fault, std::function<void()> then) {
  std::lock_guard lock(mutex_);
  struck_ = false;
  fault_ = fault;
  then_ = std::move(then);
}

void UnixProxy::deliver_held() {
  std::vector<Held> held;
  {
    std::lock_guard lock(mutex_);
    held.swap(held_);
  }
  for (const Held& h : held) {
    if (send_all(h.server.get(), h.bytes) && readable(h.server.get(), kAnswerLimit))
      (void)receive(h.server.get());
  }
}

void UnixProxy::accept_all() {
  while (!stopping_) {
    if (!readable(listener_.get(), kProxyTick)) continue;
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (away_ || !client) continue;
    threads_.emplace_back([this, fd = std::move(client)]() mutable { serve(std::move(fd)); });
  }
}

void UnixProxy::lose_reply(int server) {
  if (readable(server, kAnswerLimit)) (void)receive(server);
}

bool UnixProxy::pass_request(UniqueFd& server, std::string bytes, bool commits) {
  Fault fault = Fault::none;
  std::function<void()> then;
  if (commits) {
    std::lock_guard lock(mutex_);
    fault = std::exchange(fault_, Fault::none);
    if (fault != Fault::none) then = std::exchange(then_, nullptr);
  }
  if (fault != Fault::hold_request && !send_all(server.get(), bytes)) return false;
  if (fault == Fault::none) return true;
  if (fault == Fault::lose_reply) {
    lose_reply(server.get());
  } else {
    std::lock_guard lock(mutex_);
    held_.push_back({std::move(server), std::move(bytes)});
  }
  if (then) then();
  struck_ = true;
  return false;
}

}  // namespace cider::meta::testing
