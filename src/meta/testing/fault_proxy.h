// Stands between clients and a Redis server, counts their commands and breaks connections at chosen moments.
// For tests only.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

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
  uint64_t commands() const { return commands_; }  // that clients have sent
  // The largest number of arguments that a command had.
  uint64_t most_arguments() const { return most_arguments_; }
  // `then` runs when the fault has struck, before the client sees that the connection is gone.
  void strike(Fault fault, std::function<void()> then = {});
  void deliver_held();  // and waits until the server has answered
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
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace cider::meta::testing
