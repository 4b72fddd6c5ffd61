// Stands between clients and a Redis server, counts their commands and breaks connections at chosen moments.
// For tests only.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "meta/store/redis/resp.h"

namespace cider::meta::testing {

// Thread-safe.
class FaultProxy {
 public:
  // What happens to the next commit (a call of the script with a slot).
  enum class Fault {
    none,
    lose_reply,   // the server runs it, and the connection ends before its reply
    hold_request  // the connection ends, and the request is on its way until deliver_held()
  };

  explicit FaultProxy(std::string server_socket);  // throws where it cannot listen
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;

  std::string url(int db) const { return "unix://" + socket() + "?db=" + std::to_string(db); }
  // Commands that clients have sent, but for the PINGs by which they see whether the server is there.
  uint64_t commands() const { return commands_; }
  // The largest number of arguments that a command had.
  uint64_t most_arguments() const { return most_arguments_; }
  // `then` runs when the fault has struck, before the client sees that the connection is gone.
  void strike(Fault fault, std::function<void()> then = {});
  void deliver_held();  // and waits until the server has answered
  // The reply to the next command that has `argument` stays with the proxy, and with it the replies that come
  // after it on its connection, until release_reply().
  void hold_reply(std::string argument);
  void await_held_reply();
  void release_reply();
  void delay_replies(std::chrono::milliseconds delay) { delay_ = delay.count(); }
  // Ends all connections, and those that come, until it is told to come back.
  void go_away(bool away) { away_ = away; }

 private:
  struct Held {
    UniqueFd server;
    std::string bytes;
  };

  std::string socket() const { return dir_ + "/proxy.sock"; }
  void accept_all();
  void serve(UniqueFd client);
  bool is_holding();
  bool is_to_be_held(const redis::Reply& command);
  // Whether the connection goes on.
  bool pass_request(UniqueFd& server, std::string bytes, bool commit);

  const std::string server_socket_;
  std::string dir_;
  UniqueFd listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> away_{false};
  std::atomic<int64_t> delay_{0};
  std::atomic<uint64_t> commands_{0};
  std::atomic<uint64_t> most_arguments_{0};
  std::mutex mutex_;
  Fault fault_ = Fault::none;
  std::function<void()> then_;
  std::vector<Held> held_;
  enum class Holding { nothing, next_reply, reply } holding_ = Holding::nothing;
  std::string held_argument_;
  std::condition_variable holding_changed_;
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace cider::meta::testing
