#include "meta/testing/postgres_proxy.h"

#include <arpa/inet.h>
#include <poll.h>

#include <cstring>
#include <utility>

namespace cider::meta::testing {

using cider::testing::readable;
using cider::testing::receive;
using cider::testing::send_all;
namespace {

uint32_t length_of(std::string_view bytes) {
  uint32_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return ntohl(length);
}

}  // namespace

// libpq wants this name.
PostgresProxy::PostgresProxy(std::string server_socket)
    : UnixProxy(std::move(server_socket), ".s.PGSQL.5432") {
  start();
}

PostgresProxy::~PostgresProxy() {
  stop();
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

// To its end: ReadyForQuery, idle.
void PostgresProxy::lose_reply(int server) {
  std::string answer;
  while (!answer.ends_with(std::string_view("Z\0\0\0\5I", 6)) && readable(server, 10'000)) {
    const std::string more = receive(server);
    if (more.empty()) break;
    answer += more;
  }
}

void PostgresProxy::serve(UniqueFd client) {
  UniqueFd server = connect_to(server_socket());
  if (server.get() < 0) return;
  Client state;
  std::string flight;  // what of a flight has come: it goes on as a whole, or not at all
  while (is_open()) {
    pollfd fds[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
    if (::poll(fds, 2, kProxyTick) <= 0) continue;
    if (fds[0].revents != 0) {
      std::string bytes = receive(client.get());
      if (bytes.empty()) return;
      const bool commits = look(&state, bytes);
      flight += bytes;
      if (state.commit_seen || (!state.commits.empty() && !state.rest.empty())) continue;
      if (!pass_request(server, std::exchange(flight, {}), commits)) return;
    }
    if (fds[1].revents != 0) {
      const std::string bytes = receive(server.get());
      if (bytes.empty() || !send_all(client.get(), bytes)) return;
    }
  }
}

}  // namespace cider::meta::testing
