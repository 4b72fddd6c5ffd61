// An etcd server of the tests' own, in a temporary folder and on ports of its own. For tests only.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace cider::meta::testing {

class EtcdServer {
 public:
  explicit EtcdServer(std::vector<std::string> options = {});  // throws where it doesn't start
  ~EtcdServer();
  EtcdServer(const EtcdServer&) = delete;

  std::string url(const std::string& path) const { return "etcd://127.0.0.1:" + port_ + path; }
  const std::string& port() const { return port_; }
  pid_t pid() const { return pid_; }
  void stop(int signal);
  void start();  // with what it had answered before

  static EtcdServer& shared();  // started when it is first asked for

 private:
  const std::vector<std::string> options_;
  std::filesystem::path dir_;
  std::string port_;
  std::string peer_port_;
  pid_t pid_ = -1;
};

}  // namespace cider::meta::testing
