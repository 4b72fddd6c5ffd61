// What the proxies between clients and a server on a unix socket share: they pass bytes on, and break
// connections at chosen moments. For tests only.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace cider::meta::testing {

inline constexpr int kProxyTick = 5;  // ms between two looks at the flags

UniqueFd connect_to(const std::string& socket);  // invalid where nobody listens
std::string receive(int fd);                     // what has come; empty: the other end is gone
bool send_all(int fd, std::string_view bytes);

// Thread-safe. What a commit is, and how a connection is served, is the kind's business.
class UnixProxy {
 public:
  // What happens to the next commit.
  enum class Fault {
    none,
    lose_reply,   // the server runs it, and the connection ends before its reply
    hold_request  // the connection ends, and the request is on its way until deliver_held()
  };

  UnixProxy(const UnixProxy&) = delete;
  virtual ~UnixProxy();

  const std::string& folder() const { return dir_; }  // of the socket
  // `then` runs when the fault has struck, before the client sees that the connection is gone.
  void strike(Fault fault, std::function<void()> then = {});
  bool has_struck() const { return struck_; }
  void deliver_held();  // and waits until the server has answered
  // Ends all connections, and those that come, until it is told to come back.
  void go_away(bool away) { away_ = away; }

 protected:
  // Throws where it cannot listen on `name` in a temporary folder of its own.
  UnixProxy(std::string server_socket, const std::string& name);
  void start();  // at the end of the kind's constructor
  void stop();   // at the beginning of its destructor

  virtual void serve(UniqueFd client) = 0;
  // Takes from the server what it answers to a commit, whose client shall not have it.
  virtual void lose_reply(int server);
  // Whether the connection goes on.
  bool pass_request(UniqueFd& server, std::string bytes, bool commits);

  const std::string& server_socket() const { return server_socket_; }
  bool is_open() const { return !stopping_ && !away_; }
  static bool readable(int fd, int milliseconds);

 private:
  struct Held {
    UniqueFd server;
    std::string bytes;
  };
  void accept_all();

  const std::string server_socket_;
  std::string dir_;
  UniqueFd listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> away_{false};
  std::atomic<bool> struck_{false};
  std::mutex mutex_;
  Fault fault_ = Fault::none;
  std::function<void()> then_;
  std::vector<Held> held_;
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace cider::meta::testing
