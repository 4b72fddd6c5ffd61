// What the proxies between clients and a server on a unix socket share: they pass bytes on, and break
// connections at chosen moments. For tests only.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/testing/sockets.h"
#include "base/unique_fd.h"
#include "meta/testing/commit_faults.h"

namespace cider::meta::testing {

inline constexpr int kProxyTick = 5;  // ms between two looks at the flags

UniqueFd connect_to(const std::string& socket);  // invalid where nobody listens

// Thread-safe. What a commit is, and how a connection is served, is the kind's business.
class UnixProxy : public CommitFaults {
 public:
  UnixProxy(const UnixProxy&) = delete;
  virtual ~UnixProxy();

  const std::string& folder() const { return dir_; }  // of the socket
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
  bool pass_request(UniqueFd& server, std::string bytes, bool commits) {
    return CommitFaults::pass_request(server, std::move(bytes), commits,
                                      [this](int answering) { lose_reply(answering); });
  }

  const std::string& server_socket() const { return server_socket_; }
  bool is_open() const { return !stopping_ && !away_; }

 private:
  void accept_all();

  const std::string server_socket_;
  std::string dir_;
  UniqueFd listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> away_{false};
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace cider::meta::testing
