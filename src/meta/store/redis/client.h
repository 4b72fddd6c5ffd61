// A server, reached over a few connections that are made on demand and replaced when they break.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <vector>

#include "base/slow_lock.h"
#include "meta/store/redis/connection.h"
#include "meta/store/redis/redis_url.h"
#include "meta/store/redis/server_finder.h"

namespace cider::meta::redis {

// The error of a call that came after it may have run: EIO, as it does not tell whether it was done.
Error unclear(const Error& error);

// Thread-safe.
class Client {
 public:
  // How long a call goes on trying while the server is away.
  static constexpr std::chrono::seconds kPatience{300};

  // With `read_only`, a replica will do where the URL allows.
  explicit Client(RedisUrl url, bool read_only = false, std::chrono::milliseconds patience = kPatience)
      : url_(std::move(url)), to_replica_(read_only && url_.read_replica), patience_(patience) {}

  const RedisUrl& url() const { return url_; }
  // Known after open().
  const Keyspace& keyspace() const { return keyspace_; }
  // The server's key for a name of keys.h.
  std::string key(std::string name) const { return keyspace_.key(std::move(name)); }
  std::string key(std::string_view name) const { return keyspace_.key(name); }
  // What has to be done on each new connection before anything else. To be set before open().
  void on_connect(std::function<Status(Connection&)> greet) { greet_ = std::move(greet); }
  // Makes the first connection, so that a wrong address or password shows at once. Before other threads call.
  Status open();
  // Runs the commands, again on a new connection if one breaks: they may run twice, so they must bear that.
  // Error replies are replies, but for those that ask to come again. EINTR when `stop` is requested while
  // there is no answer, ETIMEDOUT when the patience ends, EIO where they may have run and the server then
  // refused to say. `*maybe_ran` is set where an earlier try may have run, or may yet run, even if a later
  // one was answered.
  Result<std::vector<Reply>> call(const Commands& commands, std::stop_token stop = {},
                                  bool* maybe_ran = nullptr);
  // One command, one reply.
  template <class... Args>
  Result<Reply> run(const Args&... args) {
    return TRY(call(Commands().add(args...))).front();
  }
  // The same with an error reply as an error.
  template <class... Args>
  Result<Reply> ask(const Args&... args) {
    return ask(std::stop_token(), args...);
  }
  template <class... Args>
  Result<Reply> ask(std::stop_token stop, const Args&... args) {
    return TRY(ask_all(Commands().add(args...), std::move(stop))).front();
  }
  // As call(), with the first error reply as an error.
  Result<std::vector<Reply>> ask_all(const Commands& commands, std::stop_token stop = {});

  // A connection of the caller's own, ready for commands; on_connect() has not seen it.
  Result<std::shared_ptr<Connection>> connect_apart(const std::stop_token& stop);

  // Grows with each connection that took the place of a broken one: the server may be another one, or have
  // lost what it had acknowledged.
  uint64_t reconnects() const { return reconnects_; }

 private:
  static constexpr size_t kConnections = 3;
  // Requests on one connection share system calls, here and in the server; many replies would queue for long.
  static constexpr size_t kTogether = 32;
  struct Slot {
    SlowLock dialing;
    std::mutex mutex;
    std::shared_ptr<Connection> connection;
    uint64_t dials = 0;
    Error failure;  // of the last one
  };

  // Made on demand: what the URL leads to may have to be asked for.
  Result<ServerFinder*> finder();
  Result<std::shared_ptr<Connection>> connect(const std::stop_token& stop);
  Result<std::shared_ptr<Connection>> acquire(const std::stop_token& stop);
  Result<std::shared_ptr<Connection>> acquire(Slot& slot, const std::stop_token& stop);

  const RedisUrl url_;
  const bool to_replica_;
  std::mutex finder_mutex_;
  std::unique_ptr<ServerFinder> finder_;
  Keyspace keyspace_;
  const std::chrono::milliseconds patience_;
  std::function<Status(Connection&)> greet_;
  std::array<Slot, kConnections> slots_;
  std::atomic<uint64_t> reconnects_{0};
};

}  // namespace cider::meta::redis
