#include "meta/testing/etcd_server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "meta/store/kv/etcd/etcd_client.h"
#include "meta/testing/redis_server.h"

namespace cider::meta::testing {

EtcdServer::EtcdServer(std::vector<std::string> options, std::string tls)
    : options_(std::move(options)), tls_(std::move(tls)), port_(free_port()), peer_port_(free_port()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-etcd-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  start();
}

EtcdServer::~EtcdServer() {
  stop(SIGTERM);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void EtcdServer::start() {
  const std::string client = (tls_.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") + port_;
  const std::string peer = "http://127.0.0.1:" + peer_port_;
  std::vector<std::string> command = {"etcd",
                                      "--data-dir",
                                      dir_ / "data",
                                      "--listen-client-urls",
                                      client,
                                      "--advertise-client-urls",
                                      client,
                                      "--listen-peer-urls",
                                      peer,
                                      "--initial-advertise-peer-urls",
                                      peer,
                                      "--initial-cluster",
                                      "default=" + peer,
                                      "--unsafe-no-fsync",
                                      "--log-level",
                                      "error"};
  command.insert(command.end(), options_.begin(), options_.end());
  pid_ = spawn(command);
  for (int i = 0; i < 300; ++i) {
    kv::EtcdClient server(kv::parse_etcd_url(url("/")).value());
    if (server.open() && server.answers()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
  }
  throw std::runtime_error("etcd does not start; is it installed?");
}

void EtcdServer::stop(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

EtcdServer& EtcdServer::shared() {
  static EtcdServer server;
  return server;
}

}  // namespace cider::meta::testing
