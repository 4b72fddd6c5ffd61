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

class TcpProxy {
 public:
  explicit TcpProxy(std::string server_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;

  const std::string& port() const { return port_; }
  // From now on what the server says is lost.
  void lose_replies(bool lose) { lose_replies_ = lose; }
  void cut();                                      // all connections
  uint64_t replies_lost() const { return lost_; }  // bytes

 private:
  void accept_all(const std::stop_token& stop);
  void serve(const std::stop_token& stop, UniqueFd client);

  const std::string server_port_;
  UniqueFd listener_;
  std::string port_;
  std::atomic<bool> lose_replies_{false};
  std::atomic<uint64_t> lost_{0};
  std::atomic<uint64_t> cuts_{0};
  std::mutex mutex_;
  std::vector<std::jthread> connections_;
  std::jthread acceptor_;
};

}  // namespace cider::meta::testing
