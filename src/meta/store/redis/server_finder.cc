#include "meta/store/redis/server_finder.h"

#include "meta/store/redis/guides.h"

namespace cider::meta::redis {
namespace {

class OneServer final : public ServerFinder {
 public:
  explicit OneServer(const RedisUrl& url) : address_(url.addresses.front()) {}
  Result<Address> find(const std::stop_token&) override { return address_; }
  Status check(Connection&) override { return {}; }
  void redirect(const Reply&) override {}
  Keyspace keyspace() const override { return {}; }

 private:
  const Address address_;
};

// A server that does not know the command, or hides it from this user, counts as none.
Result<bool> is_cluster_node(const RedisUrl& url) {
  Commands question = login(url);
  question.add("CLUSTER", "INFO");
  Reply info = TRY(ask_guide(url, url.addresses.front(), question, {})).back();
  if (!info.is_error()) return info.text().contains("cluster_state:");
  const Error error = error_of(info);
  if (error.code == EIO || error_word(info) == "NOPERM") return false;
  return fail(error);
}

}  // namespace

Result<std::unique_ptr<ServerFinder>> finder_of(const RedisUrl& url, bool replica) {
  if (!url.master.empty()) return sentinels(url, replica);
  if (url.addresses.size() > 1 || TRY(is_cluster_node(url))) return cluster(url, replica);
  if (url.read_replica)
    return fail(EINVAL,
                url.describe() + ": route-read needs Sentinels or a cluster, which know the replicas");
  return std::make_unique<OneServer>(url);
}

}  // namespace cider::meta::redis
