#include "meta/testing/mysql_proxy.h"

#include <poll.h>

#include <string_view>
#include <utility>

namespace cider::meta::testing {

using cider::testing::readable;
using cider::testing::receive;
using cider::testing::send_all;
namespace {

// A packet: three bytes of length, the number within its exchange, and the body. Requests begin with number 0
// and a byte that tells their kind; a text that is to be run has this one.
constexpr size_t kHead = 4;
constexpr char kQuery = 3;

size_t packet_size(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(bytes[i])); };
  return kHead + (byte(0) | byte(1) << 8 | byte(2) << 16);
}

// The last packet of an answer to COMMIT: OK, nothing changed, and no more results.
bool is_done(std::string_view answer) {
  constexpr size_t kOk = 11;
  constexpr unsigned char kMoreResults = 8;
  if (answer.size() < kOk) return false;
  const std::string_view last = answer.substr(answer.size() - kOk);
  return last.starts_with(std::string_view("\7\0\0", 3)) && last[4] == '\0' &&
         (static_cast<unsigned char>(last[7]) & kMoreResults) == 0;
}

}  // namespace

MysqlProxy::MysqlProxy(std::string server_socket) : UnixProxy(std::move(server_socket), "sock") {
  start();
}

MysqlProxy::~MysqlProxy() {
  stop();
}

void MysqlProxy::lose_reply(int server) {
  std::string answer;
  while (!is_done(answer) && readable(server, 10'000)) {
    const std::string more = receive(server);
    if (more.empty()) break;
    answer += more;
  }
}

void MysqlProxy::serve(UniqueFd client) {
  UniqueFd server = connect_to(server_socket());
  if (server.get() < 0) return;
  std::string request;  // goes on as a whole, or not at all
  while (is_open()) {
    pollfd fds[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
    if (::poll(fds, 2, kProxyTick) <= 0) continue;
    if (fds[0].revents != 0) {
      const std::string bytes = receive(client.get());
      if (bytes.empty()) return;
      request += bytes;
      if (request.size() < kHead || request.size() < packet_size(request)) continue;
      const bool is_query = request.size() > kHead && request[3] == '\0' && request[kHead] == kQuery;
      if (is_query) ++flights_;
      const bool commits = is_query && request.ends_with("COMMIT");
      if (!pass_request(server, std::exchange(request, {}), commits)) return;
    }
    if (fds[1].revents != 0) {
      const std::string bytes = receive(server.get());
      if (bytes.empty() || !send_all(client.get(), bytes)) return;
    }
  }
}

}  // namespace cider::meta::testing
