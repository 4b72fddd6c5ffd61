// Between a client and a server on the loopback interface: connections pass it until it is told to harm them.
// For tests only.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace cider::meta::testing {

// Thread-safe. How a connection is served is the kind's business.
class TcpProxy {
 public:
  explicit TcpProxy(std::string server_port);
  virtual ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;

  const std::string& port() const { return port_; }
  // From now on what the server says is lost.
  void lose_replies(bool lose) { lose_replies_ = lose; }
  void cut() { ++cuts_; }                          // all connections
  void go_away(bool away);                         // cuts, and refuses, until it is told to come back
  uint64_t replies_lost() const { return lost_; }  // bytes

 protected:
  virtual void serve(const std::stop_token& stop, UniqueFd client);
  void stop();                         // at the beginning of a kind's destructor
  UniqueFd connect_to_server() const;  // invalid where nobody listens
  uint64_t cuts() const { return cuts_; }
  // Of a connection that began after so many cuts.
  bool is_open(uint64_t cuts) const { return cuts == cuts_ && !away_; }
  static bool wait_for_either(int fd, int other);  // for a moment

 private:
  void accept_all(const std::stop_token& stop);

  const std::string server_port_;
  UniqueFd listener_;
  std::string port_;
  std::atomic<bool> lose_replies_{false};
  std::atomic<uint64_t> lost_{0};
  std::atomic<uint64_t> cuts_{0};
  std::atomic<bool> away_{false};
  std::mutex mutex_;
  std::vector<std::jthread> connections_;
  std::jthread acceptor_;
};

}  // namespace cider::meta::testing
