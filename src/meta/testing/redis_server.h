// A redis-server of the test's own: on a unix socket in a temporary folder, ended with the object. For tests
// only.
#pragma once

#include <sys/types.h>

#include <string>

namespace cider::meta::testing {

class RedisServer {
 public:
  RedisServer();  // throws where there is no redis-server or it does not start
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;

  std::string url(int db = 0) const { return "unix://" + dir_ + "/redis.sock?db=" + std::to_string(db); }
  std::string socket() const { return dir_ + "/redis.sock"; }
  pid_t pid() const { return pid_; }
  // SIGKILL, then a new server on the same socket with what the old one had written.
  void restart();

  // One server for all tests of the process.
  static RedisServer& shared();

 private:
  void start();
  void stop(int signal);

  std::string dir_;
  pid_t pid_ = -1;
};

}  // namespace cider::meta::testing
