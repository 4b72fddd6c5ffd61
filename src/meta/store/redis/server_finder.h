// Which server to connect to: the one of the URL, the one that Sentinels name at the moment, or the node of a
// cluster that has the volume.
#pragma once

#include <memory>
#include <stop_token>

#include "base/result.h"
#include "meta/store/redis/connection.h"
#include "meta/store/redis/keyspace.h"
#include "meta/store/redis/redis_url.h"

namespace cider::meta::redis {

// Thread-safe.
class ServerFinder {
 public:
  virtual ~ServerFinder() = default;

  // Where the server is. Where that may change it asks anew each time.
  virtual Result<Address> find(const std::stop_token& stop) = 0;
  // Whether `server`, just connected, is what was sought: EAGAIN where it does not know its new part yet.
  virtual Status check(Connection& server) = 0;
  // An error reply that names another server: find() begins there.
  virtual void redirect(const Reply& reply) = 0;
  virtual Keyspace keyspace() const = 0;
};

// Asks a server that stands alone in the URL whether it is a node of a cluster. With `replica`, a replica
// will do; EINVAL where there are none that one could know of. `url` must outlive the finder.
Result<std::unique_ptr<ServerFinder>> finder_of(const RedisUrl& url, bool replica);

std::unique_ptr<ServerFinder> sentinels(const RedisUrl& url, bool replica);
std::unique_ptr<ServerFinder> cluster(const RedisUrl& url, bool replica);

}  // namespace cider::meta::redis
