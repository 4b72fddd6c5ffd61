// The node of a Redis Cluster that has the volume's slot: its master, or a replica of it. Every node knows
// the others; one that cannot see most of them is not believed. Protocol:
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
#include "meta/store/redis/guides.h"
#include "meta/store/redis/server_finder.h"

namespace cider::meta::redis {
namespace {

// A node of CLUSTER SLOTS: address, port, and more. Without an address it has that of the node that was
// asked.
Address address_of(const Reply& node, const Address& asked) {
  std::string host(node[0].text());
  if (host.empty() || host == "?") host = asked.host;
  return {host, std::to_string(node[1].integer())};
}

class Cluster final : public ServerFinder {
 public:
  Cluster(const RedisUrl& url, bool replica)
      : url_(url), replica_(replica), keyspace_(Keyspace::in_cluster(url.db)), nodes_(url.addresses) {}

  Result<Address> find(const std::stop_token& stop) override {
    return nodes_.ask(
        [&](const Address& node) -> Result<Address> {
          auto found = ask(node, stop);
          if (found) return found;
          return fail(found.error().code, "node " + node.to_string() + ": " + found.error().to_string());
        },
        stop);
  }
  // A replica answers by itself on connections that have said that they only read.
  Status check(Connection& server) override;
  void redirect(const Reply& reply) override;
  Keyspace keyspace() const override { return keyspace_; }

 private:
  Result<Address> ask(const Address& node, const std::stop_token& stop);
  Result<Address> owner_in(const Reply& ranges, int64_t slot, const Address& asked);

  const RedisUrl& url_;
  const bool replica_;
  const Keyspace keyspace_;
  Guides nodes_;
};

Result<Address> Cluster::ask(const Address& node, const std::stop_token& stop) {
  Commands question = login(url_);
  question.add("CLUSTER", "INFO").add("CLUSTER", "KEYSLOT", keyspace_.prefix()).add("CLUSTER", "SLOTS");
  const std::vector<Reply> replies = TRY(ask_guide(url_, node, question, stop));
  for (const Reply& reply : replies) {
    if (!reply.is_error()) continue;
    if (reply.text().contains("cluster support disabled"))
      return fail(
          EINVAL,
          "it is in no cluster, but several hosts are named; Sentinels come after their master's name");
    return fail(error_of(reply));
  }
  const size_t first = replies.size() - 3;
  if (!replies[first].text().contains("cluster_state:ok")) return fail(EAGAIN, "the cluster is down");
  return owner_in(replies[first + 2], replies[first + 1].integer(), node);
}

// Ranges of slots: first, last, master, replicas.
Result<Address> Cluster::owner_in(const Reply& ranges, int64_t slot, const Address& asked) {
  std::vector<Address> nodes;
  std::optional<Address> owner;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const Reply range = ranges[i];
    for (size_t j = 2; j < range.size(); ++j) nodes.push_back(address_of(range[j], asked));
    if (slot < range[0].integer() || slot > range[1].integer()) continue;
    owner = address_of(range[replica_ && range.size() > 3 ? 3 : 2], asked);
  }
  nodes_.add(nodes);
  if (!owner) return fail(EAGAIN, "nobody has slot " + std::to_string(slot) + ", which the volume is in");
  return *owner;
}

Status Cluster::check(Connection& server) {
  if (!replica_) return {};
  Commands commands;
  commands.add("READONLY");
  const Reply reply = TRY(server.call(commands)).front();
  if (reply.is_error()) return fail(error_of(reply));
  return {};
}

// "MOVED 3999 127.0.0.1:6381"
void Cluster::redirect(const Reply& reply) {
  if (error_word(reply) != "MOVED") return;
  std::string_view address = reply.text().substr(reply.text().rfind(' ') + 1);
  size_t colon = address.rfind(':');
  if (colon == address.npos || colon == 0) return;
  nodes_.prefer({std::string(address.substr(0, colon)), std::string(address.substr(colon + 1))});
}

}  // namespace

std::unique_ptr<ServerFinder> cluster(const RedisUrl& url, bool replica) {
  return std::make_unique<Cluster>(url, replica);
}

}  // namespace cider::meta::redis
