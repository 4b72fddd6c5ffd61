// A redis-server of the test's own: on a unix socket in a temporary folder, ended with the object. For tests
// only.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cider::meta::testing {

class RedisServer {
 public:
  // `options` are added to the command line. Throws where there is no redis-server or it does not start.
  explicit RedisServer(std::vector<std::string> options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;

  std::string url(int db = 0) const { return "unix://" + dir_ + "/redis.sock?db=" + std::to_string(db); }
  std::string socket() const { return dir_ + "/redis.sock"; }
  const std::string& dir() const { return dir_; }
  pid_t pid() const { return pid_; }
  // SIGKILL, then a new server on the same socket with what the old one had written.
  void restart();

  // One server for all tests of the process.
  static RedisServer& shared();

 private:
  void start();
  void stop(int signal);

  const std::vector<std::string> options_;
  std::string dir_;
  pid_t pid_ = -1;
};

// A TCP port of the loopback interface that was free a moment ago.
std::string free_port();

// Starts a program without input and output; it dies with the calling thread.
pid_t spawn(const std::vector<std::string>& command);

}  // namespace cider::meta::testing
