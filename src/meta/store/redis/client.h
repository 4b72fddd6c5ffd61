// A server, reached over a few connections that are made on demand and replaced when they break.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <vector>

#include "meta/store/redis/connection.h"
#include "meta/store/redis/redis_url.h"
#include "meta/store/redis/server_finder.h"

namespace cider::meta::redis {

// Thread-safe.
class Client {
 public:
  // How long a call goes on trying while the server is away.
  static constexpr std::chrono::seconds kPatience{300};

  // With `read_only`, a replica will do where the URL allows.
  explicit Client(RedisUrl url, bool read_only = false, std::chrono::milliseconds patience = kPatience)
      : url_(std::move(url)), finder_(url_, read_only && url_.read_replica), patience_(patience) {}

  const RedisUrl& url() const { return url_; }
  // What has to be done on each new connection before anything else. To be set before open().
  void on_connect(std::function<Status(Connection&)> greet) { greet_ = std::move(greet); }
  // Makes the first connection, so that a wrong address or password shows at once.
  Status open();
  // Runs the commands, again on a new connection if one breaks: they may run twice, so they must bear that.
  // Answers error replies as errors, but for `WRONGTYPE`-like ones of single commands see error_of(). EINTR
  // when `stop` is requested between two tries, ETIMEDOUT when the patience ends. `*maybe_ran` is set where
  // the commands may have run, or may yet run, although the call failed.
  Result<std::vector<Reply>> call(const Commands& commands, std::stop_token stop = {},
                                  bool* maybe_ran = nullptr);
  // One command, one reply.
  template <class... Args>
  Result<Reply> run(const Args&... args) {
    Commands commands;
    commands.add(args...);
    std::vector<Reply> replies = TRY(call(commands));
    return std::move(replies.front());
  }
  // The same with an error reply as an error.
  template <class... Args>
  Result<Reply> ask(const Args&... args) {
    Commands commands;
    commands.add(args...);
    std::vector<Reply> replies = TRY(ask_all(commands));
    return std::move(replies.front());
  }
  // As call(), with the first error reply as an error.
  Result<std::vector<Reply>> ask_all(const Commands& commands);

 private:
  static constexpr size_t kConnections = 3;
  struct Slot {
    std::mutex dialing;
    std::mutex mutex;
    std::shared_ptr<Connection> connection;
  };

  Result<std::shared_ptr<Connection>> connect();
  Result<std::shared_ptr<Connection>> acquire();
  Result<std::shared_ptr<Connection>> acquire(Slot& slot);

  const RedisUrl url_;
  ServerFinder finder_;
  const std::chrono::milliseconds patience_;
  std::function<Status(Connection&)> greet_;
  std::array<Slot, kConnections> slots_;
};

}  // namespace cider::meta::redis
