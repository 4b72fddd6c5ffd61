// Which server to connect to: the one of the URL, or the one that Sentinels name at the moment.
// Protocol: https://redis.io/docs/latest/develop/reference/sentinel-clients/
#pragma once

#include <memory>
#include <mutex>

#include "base/result.h"
#include "meta/store/redis/connection.h"
#include "meta/store/redis/redis_url.h"

namespace cider::meta::redis {

// Thread-safe.
class ServerFinder {
 public:
  // With `replica`, a replica that is in order, where the Sentinels know one.
  ServerFinder(const RedisUrl& url, bool replica) : url_(url), replica_(replica) {}

  // Asks anew each time. ENOENT where no Sentinel knows the master's name; else the last Sentinel's error.
  Result<Address> find();
  // Sentinels may name a server before it knows its new part: EAGAIN unless it says that it is what was asked
  // for. Any server is right where there are no Sentinels.
  Status check(Connection& server);

 private:
  Result<Address> ask(const Address& sentinel);
  Result<Address> ask_master(Connection& sentinel);
  Result<Address> ask_replica(Connection& sentinel);
  void prefer(const Address& sentinel);

  const RedisUrl& url_;
  const bool replica_;
  std::mutex mutex_;
  std::vector<Address> sentinels_ = url_.addresses;  // the last that answered comes first
};

}  // namespace cider::meta::redis
