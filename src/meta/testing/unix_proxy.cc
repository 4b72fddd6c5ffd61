#include "meta/testing/unix_proxy.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace cider::meta::testing {

using cider::testing::readable;
using cider::testing::receive;
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

}  // namespace cider::meta::testing
