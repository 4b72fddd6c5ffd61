#include "meta/testing/redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "meta/store/redis/client.h"

namespace cider::meta::testing {

RedisServer::RedisServer() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-redis-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  start();
}

RedisServer::~RedisServer() {
  stop(SIGTERM);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void RedisServer::start() {
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    for (int fd : {0, 1, 2}) dup2(null, fd);
    std::string path = socket();
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path.c_str(), "--dir", dir_.c_str(),
           "--save", "", "--appendonly", "yes", "--appendfsync", "no", "--databases", "64",
           static_cast<char*>(nullptr));
    _exit(127);
  }
  auto url = redis::parse_redis_url(this->url());
  if (!url) throw std::runtime_error(url.error().to_string());
  for (int i = 0; i < 500; ++i) {
    redis::Client client(*url);
    if (access(socket().c_str(), F_OK) == 0 && client.open()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
  }
  throw std::runtime_error("redis-server does not start; is it installed?");
}

void RedisServer::stop(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::restart() {
  stop(SIGKILL);
  start();
}

RedisServer& RedisServer::shared() {
  static RedisServer server;
  return server;
}

}  // namespace cider::meta::testing
