// A connection of its own over which the server tells what is changed, by whomever: CLIENT TRACKING in
// broadcast mode, of Redis 6 and newer. One thread listens to it, asks with a PING every second whether the
// server is still there, and connects again when it is not.
// Protocol: https://redis.io/docs/latest/develop/reference/client-side-caching/ ("Two connections mode", with
// itself as the second).
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "base/result.h"
#include "meta/store/redis/change_listener.h"
#include "meta/store/redis/client.h"

namespace cider::meta::redis {

// Thread-safe.
class PushChannel {
 public:
  PushChannel(Client& client, ChangeListener& listener) : client_(client), listener_(listener) {}
  ~PushChannel();

  // Connects and begins to listen: changes are told when this returns. EINVAL where the server cannot tell
  // them.
  Status open();
  // The server that a new connection of the client leads to (INFO's run_id). What another one tells counts
  // for nothing: after a failover the channel follows.
  void commands_go_to(const std::string& run_id);

 private:
  // Subscribes on a new connection, and waits until the server has said that it is there.
  Status connect(const std::stop_token& stop);
  Status subscribe(Connection& connection, const std::stop_token& stop);
  // Until the connection breaks.
  Status listen();
  Status ping();
  // Passes on what comes until `end`, or until a PING is answered; whether it was.
  Result<bool> take_messages(Monotonic::time_point end);
  void take(const Reply& message);
  // What was sent at `sent` is answered. EAGAIN where the server is another one than commands go to.
  Status heard(Monotonic::time_point sent);
  void lose();
  void run(const std::stop_token& stop);

  Client& client_;
  ChangeListener& listener_;
  std::mutex mutex_;
  std::shared_ptr<Connection> connection_;  // set by the thread that listens, and used by it alone
  std::string told_by_;                     // run_id of the channel's server
  std::string commands_to_;                 // and of that to which commands go
  bool live_ = false;
  std::jthread thread_;
};

}  // namespace cider::meta::redis
