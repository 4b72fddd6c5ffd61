#include "meta/testing/fault_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace cider::meta::testing {
namespace {

constexpr int kTick = 5;  // ms between two looks at the flags

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

UniqueFd connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = address_of(path);
  if (fd.get() < 0 || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return {};
  return fd;
}

bool readable(int fd, int milliseconds) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, milliseconds) > 0;
}

std::string receive(int fd) {
  std::string bytes(1 << 16, '\0');
  ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return bytes;
}

bool send(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// A call of the script with a slot: EVALSHA sha keys opid:...
bool is_commit(const redis::Reply& command) {
  return command.size() > 3 && command[3].text().starts_with("opid:");
}

}  // namespace

FaultProxy::FaultProxy(std::string server_socket) : server_socket_(std::move(server_socket)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-proxy-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = address_of(socket());
  if (listener_.get() < 0 ||
      ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 64) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  acceptor_ = std::jthread([this] { accept_all(); });
}

FaultProxy::~FaultProxy() {
  stopping_ = true;
  release_reply();
  acceptor_.join();
  threads_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void FaultProxy::strike(Fault fault, std::function<void()> then) {
  std::lock_guard lock(mutex_);
  fault_ = fault;
  then_ = std::move(then);
}

void FaultProxy::hold_reply(std::string argument) {
  std::lock_guard lock(mutex_);
  holding_ = Holding::next_reply;
  held_argument_ = std::move(argument);
}

void FaultProxy::await_held_reply() {
  std::unique_lock lock(mutex_);
  holding_changed_.wait(lock, [this] { return holding_ != Holding::next_reply; });
}

void FaultProxy::release_reply() {
  std::lock_guard lock(mutex_);
  holding_ = Holding::nothing;
  holding_changed_.notify_all();
}

bool FaultProxy::is_holding() {
  std::lock_guard lock(mutex_);
  return holding_ != Holding::nothing;
}

bool FaultProxy::is_to_be_held(const redis::Reply& command) {
  std::lock_guard lock(mutex_);
  if (holding_ != Holding::next_reply) return false;
  for (size_t i = 0; i < command.size(); ++i) {
    if (command[i].text() == held_argument_) return true;
  }
  return false;
}

void FaultProxy::deliver_held() {
  std::vector<Held> held;
  {
    std::lock_guard lock(mutex_);
    held.swap(held_);
  }
  for (const Held& h : held) {
    if (send(h.server.get(), h.bytes) && readable(h.server.get(), 10'000)) (void)receive(h.server.get());
  }
}

void FaultProxy::accept_all() {
  while (!stopping_) {
    if (!readable(listener_.get(), kTick)) continue;
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (away_ || !client) continue;
    threads_.emplace_back([this, fd = std::move(client)]() mutable { serve(std::move(fd)); });
  }
}

bool FaultProxy::pass_request(UniqueFd& server, std::string bytes, bool commit) {
  Fault fault = Fault::none;
  std::function<void()> then;
  if (commit) {
    std::lock_guard lock(mutex_);
    fault = std::exchange(fault_, Fault::none);
    if (fault != Fault::none) then = std::exchange(then_, nullptr);
  }
  if (fault != Fault::hold_request && !send(server.get(), bytes)) return false;
  if (fault == Fault::none) return true;
  if (fault == Fault::lose_reply) {
    if (readable(server.get(), 10'000)) (void)receive(server.get());
  } else {
    std::lock_guard lock(mutex_);
    held_.push_back({std::move(server), std::move(bytes)});
  }
  if (then) then();
  return false;
}

void FaultProxy::serve(UniqueFd client) {
  UniqueFd server = connect_to(server_socket_);
  redis::ReplyReader requests;
  std::string replies;  // that the client shall have
  bool hold = false;    // the next one
  bool holds = false;
  while (server && !stopping_ && !away_) {
    pollfd both[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
    if (::poll(both, 2, kTick) < 0) continue;
    if (both[0].revents != 0) {
      std::string bytes = receive(client.get());
      if (bytes.empty() || !requests.feed(bytes)) return;
      bool commit = false;
      for (auto next = requests.next(); next && *next; next = requests.next()) {
        if ((*next)->size() != 1 || (**next)[0].text() != "PING") ++commands_;
        hold = hold || is_to_be_held(**next);
        uint64_t most = most_arguments_;
        while (most < (*next)->size() && !most_arguments_.compare_exchange_weak(most, (*next)->size())) {
        }
        commit |= is_commit(**next);
      }
      if (!pass_request(server, std::move(bytes), commit)) return;
    }
    if (both[1].revents != 0) {
      std::string bytes = receive(server.get());
      if (int64_t delay = delay_; delay > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay));
      if (bytes.empty()) return;
      replies += bytes;
      if (std::exchange(hold, false)) {
        std::lock_guard lock(mutex_);
        holding_ = Holding::reply;
        holds = true;
        holding_changed_.notify_all();
      }
    }
    if (holds) holds = is_holding();
    if (!holds && !replies.empty() && !send(client.get(), std::exchange(replies, {}))) return;
  }
}

}  // namespace cider::meta::testing
