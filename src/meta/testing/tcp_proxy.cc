#include "meta/testing/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

#include "base/testing/sockets.h"

namespace cider::meta::testing {

using cider::testing::readable;
using cider::testing::receive;
using cider::testing::send_all;
namespace {

constexpr int kLook = 20;  // milliseconds

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// What is passed on in pieces must not wait for acknowledgements.
void send_at_once(int fd) {
  const int yes = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
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
  stop();
}

void TcpProxy::stop() {
  acceptor_.request_stop();
  if (acceptor_.joinable()) acceptor_.join();
  connections_.clear();
}

void TcpProxy::go_away(bool away) {
  away_ = away;
  cut();
}

void TcpProxy::accept_all(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    pollfd look{listener_.get(), POLLIN, 0};
    if (poll(&look, 1, kLook) <= 0) continue;
    UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.get() < 0 || away_) continue;
    send_at_once(client.get());
    std::lock_guard lock(mutex_);
    connections_.emplace_back([this](const std::stop_token& end, UniqueFd fd) { serve(end, std::move(fd)); },
                              std::move(client));
  }
}

UniqueFd TcpProxy::connect_to_server() const {
  UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(std::stoi(server_port_));
  if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  send_at_once(server.get());
  return server;
}

bool TcpProxy::wait_for_either(int fd, int other) {
  pollfd look[2] = {{fd, POLLIN, 0}, {other, POLLIN, 0}};
  return poll(look, 2, kLook) > 0;
}

void TcpProxy::serve(const std::stop_token& stop, UniqueFd client) {
  const uint64_t cuts = cuts_;
  const UniqueFd server = connect_to_server();
  if (server.get() < 0) return;
  while (!stop.stop_requested() && is_open(cuts)) {
    if (!wait_for_either(client.get(), server.get())) continue;
    if (readable(client.get(), 0)) {
      const std::string bytes = receive(client.get());
      if (bytes.empty() || !send_all(server.get(), bytes)) return;
    }
    if (readable(server.get(), 0)) {
      const std::string bytes = receive(server.get());
      if (bytes.empty()) return;
      if (lose_replies_) {
        lost_ += bytes.size();
      } else if (!send_all(client.get(), bytes)) {
        return;
      }
    }
  }
}

}  // namespace cider::meta::testing
