#include "meta/testing/tcp_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace cider::meta::testing {
namespace {

constexpr int kLook = 20;  // milliseconds

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool readable(int fd) {
  pollfd look{fd, POLLIN, 0};
  return poll(&look, 1, 0) > 0;
}

bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(std::string server_port)
    : server_port_(std::move(server_port)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_.get(), 16) != 0 ||
      getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no port to listen on");
  port_ = std::to_string(ntohs(address.sin_port));
  acceptor_ = std::jthread([this](const std::stop_token& stop) { accept_all(stop); });
}

TcpProxy::~TcpProxy() {
  acceptor_.request_stop();
  acceptor_.join();
  connections_.clear();
}

void TcpProxy::cut() {
  ++cuts_;
}

void TcpProxy::accept_all(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    pollfd look{listener_.get(), POLLIN, 0};
    if (poll(&look, 1, kLook) <= 0) continue;
    UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.get() < 0) continue;
    std::lock_guard lock(mutex_);
    connections_.emplace_back([this](const std::stop_token& end, UniqueFd fd) { serve(end, std::move(fd)); },
                              std::move(client));
  }
}

void TcpProxy::serve(const std::stop_token& stop, UniqueFd client) {
  const uint64_t cuts = cuts_;
  UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(std::stoi(server_port_));
  if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
  char buffer[16384];
  while (!stop.stop_requested() && cuts == cuts_) {
    pollfd look[2] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
    if (poll(look, 2, kLook) < 0) return;
    if (readable(client.get())) {
      const ssize_t n = recv(client.get(), buffer, sizeof buffer, 0);
      if (n <= 0 || !write_all(server.get(), buffer, static_cast<size_t>(n))) return;
    }
    if (readable(server.get())) {
      const ssize_t n = recv(server.get(), buffer, sizeof buffer, 0);
      if (n <= 0) return;
      if (lose_replies_) {
        lost_ += static_cast<uint64_t>(n);
      } else if (!write_all(client.get(), buffer, static_cast<size_t>(n))) {
        return;
      }
    }
  }
}

}  // namespace cider::meta::testing
