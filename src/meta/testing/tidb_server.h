// A TiDB of the test's own, with its storage in memory: on a loopback port, ended with the object. For tests
// only.
#pragma once

#include <sys/types.h>

#include <string>

namespace cider::meta::testing {

class TidbServer {
 public:
  // Whether there is one (`scripts/test.sh tidb` builds it); its tests are left out where there is not.
  static bool is_there();
  // Throws where it does not start.
  TidbServer();
  ~TidbServer();
  TidbServer(const TidbServer&) = delete;

  std::string url() const { return "mysql://root@(127.0.0.1:" + port_ + ")/test"; }

  // One server for all tests of the process.
  static TidbServer& shared();

 private:
  const std::string port_;
  std::string dir_;
  pid_t pid_ = -1;
};

}  // namespace cider::meta::testing
