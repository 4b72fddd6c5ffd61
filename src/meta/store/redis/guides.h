// Servers that know where others are: Sentinels, and the nodes of a cluster. Each is asked over a connection
// of its own, and has to answer within the time for connecting: another one may know as well.
#pragma once

#include <mutex>
#include <stop_token>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/redis/redis_url.h"
#include "meta/store/redis/resp.h"

namespace cider::meta::redis {

// Thread-safe.
class Guides {
 public:
  explicit Guides(std::vector<Address> addresses) : addresses_(std::move(addresses)) {}

  // The first answer. Who answered is asked first the next time, and who didn't comes last. The last error
  // where nobody knows; EINTR when `stop` is requested between two of them.
  Result<Address> ask(FunctionRef<Result<Address>(const Address&)> question, const std::stop_token& stop);
  void prefer(const Address& address);
  // Those that are not known yet.
  void add(const std::vector<Address>& addresses);

 private:
  void move(const Address& address, bool to_front);

  std::mutex mutex_;
  std::vector<Address> addresses_;
};

// What logs the URL's user in on a server: a command, or none.
Commands login(const RedisUrl& url);
// Replies to the commands, error replies among them.
Result<std::vector<Reply>> ask_guide(const RedisUrl& url, const Address& guide, const Commands& commands,
                                     const std::stop_token& stop);

}  // namespace cider::meta::redis
