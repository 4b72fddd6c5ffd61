// Stands between clients and a PostgreSQL server, counts their flights and breaks connections at chosen
// moments. For tests only.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace cider::meta::testing {

// Thread-safe.
class PostgresProxy {
 public:
  // What happens to the next flight with a COMMIT.
  enum class Fault {
    none,
    lose_reply,   // the server commits, and the connection ends before its answer
    lose_request  // the connection ends, and the server has not seen the flight: deliver_held() sends it
  };

  explicit PostgresProxy(std::string server_socket);  // throws where it cannot listen
  ~PostgresProxy();
  PostgresProxy(const PostgresProxy&) = delete;

  const std::string& folder() const { return dir_; }  // of the socket
  uint64_t flights() const { return flights_; }
  // `then` runs when the fault has struck, before the client sees that the connection is gone.
  void strike(Fault fault, std::function<void()> then = {});
  bool has_struck() const { return struck_; }
  void deliver_held();
  // Ends all connections, and those that come, until it is told to come back.
  void go_away(bool away) { away_ = away; }

 private:
  struct Held {
    UniqueFd server;
    std::string bytes;
  };
  struct Client {  // what is known of what a client sends
    bool started = false;
    std::string rest;               // a message that has not come whole
    std::set<std::string> commits;  // names of statements that are COMMIT
    bool commit_seen = false;       // in the flight that is coming
  };

  void accept_all();
  void serve(UniqueFd client);
  // Looks at whole messages; true where they end a flight with a COMMIT.
  bool look(Client* client, std::string_view bytes);
  bool pass(UniqueFd& server, std::string bytes, bool commits);

  const std::string server_socket_;
  std::string dir_;
  UniqueFd listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> away_{false};
  std::atomic<bool> struck_{false};
  std::atomic<uint64_t> flights_{0};
  std::mutex mutex_;
  Fault fault_ = Fault::none;
  std::function<void()> then_;
  std::vector<Held> held_;
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace cider::meta::testing
