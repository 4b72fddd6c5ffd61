#include "meta/store/redis/server_finder.h"

#include <algorithm>

#include "meta/store/redis/dial.h"

namespace cider::meta::redis {
namespace {

// The value of a name in a reply of names and values.
std::string_view field_of(const Reply& pairs, std::string_view name) {
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (pairs[i].text() == name) return pairs[i + 1].text();
  }
  return {};
}

bool in_order(const Reply& replica) {
  std::string_view flags = field_of(replica, "flags");
  for (std::string_view trouble : {"s_down", "o_down", "disconnected"}) {
    if (flags.contains(trouble)) return false;
  }
  return field_of(replica, "master-link-status") != "err";
}

Result<Reply> run(Connection& connection, const Commands& commands) {
  Reply reply = TRY(connection.call(commands)).back();
  if (reply.is_error()) return fail(error_of(reply));
  return reply;
}

}  // namespace

Result<Address> ServerFinder::find() {
  if (url_.master.empty()) return url_.addresses.front();
  std::vector<Address> sentinels;
  {
    std::lock_guard lock(mutex_);
    sentinels = sentinels_;
  }
  Error last;
  for (const Address& sentinel : sentinels) {
    auto found = ask(sentinel);
    if (found) {
      prefer(sentinel);
      return found;
    }
    last = {found.error().code, "Sentinel " + sentinel.to_string() + ": " + found.error().to_string()};
  }
  return fail(last);
}

void ServerFinder::prefer(const Address& sentinel) {
  std::lock_guard lock(mutex_);
  auto at = std::ranges::find(sentinels_, sentinel);
  std::rotate(sentinels_.begin(), at, std::next(at));
}

Result<Address> ServerFinder::ask(const Address& sentinel) {
  Connection connection(TRY(dial(url_, sentinel)), url_.read_timeout);
  if (!url_.sentinel_password.empty()) {
    Commands login;
    login.add("AUTH", url_.sentinel_password);
    TRY(run(connection, login));
  }
  if (replica_) {
    if (auto replica = ask_replica(connection)) return replica;
  }
  return ask_master(connection);
}

Result<Address> ServerFinder::ask_master(Connection& sentinel) {
  Commands question;
  question.add("SENTINEL", "get-master-addr-by-name", url_.master);
  Reply reply = TRY(run(sentinel, question));
  if (reply.size() != 2) return fail(ENOENT, "no master is named " + url_.master);
  return Address{std::string(reply[0].text()), std::string(reply[1].text())};
}

Result<Address> ServerFinder::ask_replica(Connection& sentinel) {
  Commands question;
  question.add("SENTINEL", "replicas", url_.master);
  Reply replicas = TRY(run(sentinel, question));
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (!in_order(replicas[i])) continue;
    return Address{std::string(field_of(replicas[i], "ip")), std::string(field_of(replicas[i], "port"))};
  }
  return fail(ENOENT);
}

Status ServerFinder::check(Connection& server) {
  if (url_.master.empty() || replica_) return {};
  Commands question;
  question.add("ROLE");
  Reply role = TRY(run(server, question));
  if (role[0].text() == "master") return {};
  return fail(EAGAIN, "the server that the Sentinels name is no master yet");
}

}  // namespace cider::meta::redis
