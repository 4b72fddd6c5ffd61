// An etcd server of the tests' own, in a temporary folder and on ports of its own. For tests only.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace cider::meta::testing {

class EtcdServer {
 public:
  // `options` are added to the command line; with `tls`, those that a client's URL must have, it speaks TLS
  // alone, as localhost. Throws where it doesn't start.
  explicit EtcdServer(std::vector<std::string> options = {}, std::string tls = {});
  ~EtcdServer();
  EtcdServer(const EtcdServer&) = delete;

  std::string url(const std::string& path) const {
    return url_of_host(tls_.empty() ? "127.0.0.1" : "localhost", path, tls_);
  }
  std::string url_of_host(const std::string& host, const std::string& path, const std::string& tls) const {
    return "etcd://" + host + ":" + port_ + path + (tls.empty() ? "" : "?" + tls);
  }
  const std::string& port() const { return port_; }
  pid_t pid() const { return pid_; }
  void stop(int signal);
  void start();  // with what it had answered before

  static EtcdServer& shared();  // started when it is first asked for

 private:
  const std::vector<std::string> options_;
  const std::string tls_;
  std::filesystem::path dir_;
  std::string port_;
  std::string peer_port_;
  pid_t pid_ = -1;
};

}  // namespace cider::meta::testing
