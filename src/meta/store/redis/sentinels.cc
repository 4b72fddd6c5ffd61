// The master that Sentinels name at the moment, or one of its replicas.
// Protocol: https://redis.io/docs/latest/develop/reference/sentinel-clients/
#include "meta/store/redis/guides.h"
#include "meta/store/redis/server_finder.h"

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

// Where none is in order the master will do.
std::optional<Address> usable_replica(const Reply& replicas) {
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (!in_order(replicas[i])) continue;
    return Address{std::string(field_of(replicas[i], "ip")), std::string(field_of(replicas[i], "port"))};
  }
  return std::nullopt;
}

class Sentinels final : public ServerFinder {
 public:
  Sentinels(const RedisUrl& url, bool replica) : url_(url), replica_(replica), sentinels_(url.addresses) {}

  // ENOENT where no Sentinel knows the master's name; else the last Sentinel's error.
  Result<Address> find(const std::stop_token& stop) override {
    return sentinels_.ask(
        [&](const Address& sentinel) -> Result<Address> {
          auto found = ask(sentinel, stop);
          if (found) return found;
          return fail(found.error().code,
                      "Sentinel " + sentinel.to_string() + ": " + found.error().to_string());
        },
        stop);
  }
  Status check(Connection& server) override;
  void redirect(const Reply&) override {}
  Keyspace keyspace() const override { return {}; }

 private:
  Result<Address> ask(const Address& sentinel, const std::stop_token& stop);

  const RedisUrl& url_;
  const bool replica_;
  Guides sentinels_;
};

Result<Address> Sentinels::ask(const Address& sentinel, const std::stop_token& stop) {
  Commands question;
  if (!url_.sentinel_password.empty()) question.add("AUTH", url_.sentinel_password);
  question.add("SENTINEL", "get-master-addr-by-name", url_.master);
  if (replica_) question.add("SENTINEL", "replicas", url_.master);
  const std::vector<Reply> replies = TRY(ask_guide(url_, sentinel, question, stop));
  const size_t at = url_.sentinel_password.empty() ? 0 : 1;
  for (size_t i = 0; i <= at; ++i) {
    if (replies[i].is_error()) return fail(error_of(replies[i]));
  }
  const Reply& master = replies[at];
  if (replica_) {
    if (auto replica = usable_replica(replies.back())) return *replica;
  }
  if (master.size() != 2) return fail(ENOENT, "no master is named " + url_.master);
  return Address{std::string(master[0].text()), std::string(master[1].text())};
}

Status Sentinels::check(Connection& server) {
  if (replica_) return {};
  Commands question;
  question.add("ROLE");
  const Reply role = TRY(server.call(question)).front();
  if (role.is_error()) return fail(error_of(role));
  if (role[0].text() == "master") return {};
  return fail(EAGAIN, "the server that the Sentinels name is no master yet");
}

}  // namespace

std::unique_ptr<ServerFinder> sentinels(const RedisUrl& url, bool replica) {
  return std::make_unique<Sentinels>(url, replica);
}

}  // namespace cider::meta::redis
