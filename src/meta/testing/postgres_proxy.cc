#include "meta/testing/postgres_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
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

uint32_t length_of(std::string_view bytes) {
  uint32_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return ntohl(length);
}

}  // namespace

PostgresProxy::PostgresProxy(std::string server_socket) : server_socket_(std::move(server_socket)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-pgproxy-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = address_of(dir_ + "/.s.PGSQL.5432");
  if (listener_.get() < 0 ||
      ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 64) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  acceptor_ = std::jthread([this] { accept_all(); });
}

PostgresProxy::~PostgresProxy() {
  stopping_ = true;
  acceptor_.join();
  threads_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void PostgresProxy::strike(Fault fault, std::function<void()> then) {
  std::lock_guard lock(mutex_);
  struck_ = false;
  fault_ = fault;
  then_ = std::move(then);
}

void PostgresProxy::deliver_held() {
  std::vector<Held> held;
  {
    std::lock_guard lock(mutex_);
    held.swap(held_);
  }
  for (const Held& h : held) {
    if (send(h.server.get(), h.bytes) && readable(h.server.get(), 10'000)) (void)receive(h.server.get());
  }
}

void PostgresProxy::accept_all() {
  while (!stopping_) {
    if (!readable(listener_.get(), kTick)) continue;
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.get() < 0 || away_) continue;
    threads_.emplace_back([this, fd = std::move(client)]() mutable { serve(std::move(fd)); });
  }
}

bool PostgresProxy::look(Client* client, std::string_view bytes) {
  client->rest += bytes;
  std::string_view rest = client->rest;
  bool commits = false;
  for (;;) {
    const size_t head = client->started ? 1 : 0;
    if (rest.size() < head + 4) break;
    const size_t size = head + length_of(rest.substr(head));
    if (rest.size() < size) break;
    const std::string_view body = rest.substr(head + 4, size - head - 4);
    const char type = client->started ? rest[0] : '\0';
    client->started = true;
    if (type == 'P') {
      const std::string name(body.substr(0, body.find('\0')));
      if (body.substr(name.size() + 1).starts_with(std::string_view("COMMIT\0", 7)))
        client->commits.insert(name);
      else
        client->commits.erase(name);
    } else if (type == 'B') {
      const std::string_view after_portal = body.substr(body.find('\0') + 1);
      if (client->commits.contains(std::string(after_portal.substr(0, after_portal.find('\0')))))
        client->commit_seen = true;
    } else if (type == 'S') {
      ++flights_;
      commits |= std::exchange(client->commit_seen, false);
    }
    rest.remove_prefix(size);
  }
  client->rest = std::string(rest);
  return commits;
}

// Whether the connection goes on.
bool PostgresProxy::pass(UniqueFd& server, std::string bytes, bool commits) {
  Fault fault = Fault::none;
  std::function<void()> then;
  if (commits) {
    std::lock_guard lock(mutex_);
    fault = std::exchange(fault_, Fault::none);
    then = std::exchange(then_, nullptr);
  }
  if (fault == Fault::none) return send(server.get(), bytes);
  if (fault == Fault::lose_reply) {
    if (send(server.get(), bytes)) {
      // To its end: ReadyForQuery, idle.
      std::string answer;
      while (!answer.ends_with(std::string_view("Z\0\0\0\5I", 6)) && readable(server.get(), 10'000)) {
        const std::string more = receive(server.get());
        if (more.empty()) break;
        answer += more;
      }
    }
  } else {
    std::lock_guard lock(mutex_);
    held_.push_back({std::move(server), std::move(bytes)});
  }
  if (then) then();
  struck_ = true;
  return false;
}

void PostgresProxy::serve(UniqueFd client) {
  UniqueFd server = connect_to(server_socket_);
  if (server.get() < 0) return;
  Client state;
  std::string flight;  // what of a flight has come: it goes on as a whole, or not at all
  while (!stopping_ && !away_) {
    pollfd fds[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
    if (::poll(fds, 2, kTick) <= 0) continue;
    if (fds[0].revents != 0) {
      std::string bytes = receive(client.get());
      if (bytes.empty()) return;
      const bool commits = look(&state, bytes);
      flight += bytes;
      if (state.commit_seen || (!state.commits.empty() && !state.rest.empty())) continue;
      if (!pass(server, std::exchange(flight, {}), commits)) return;
    }
    if (fds[1].revents != 0) {
      const std::string bytes = receive(server.get());
      if (bytes.empty() || !send(client.get(), bytes)) return;
    }
  }
}

}  // namespace cider::meta::testing
