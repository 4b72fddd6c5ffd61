#include "meta/testing/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "meta/store/redis/client.h"

namespace cider::meta::testing {

std::string free_port() {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  close(fd);
  return std::to_string(ntohs(address.sin_port));
}

pid_t spawn(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int null = open("/dev/null", O_RDWR);
  for (int fd : {0, 1, 2}) dup2(null, fd);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

RedisServer::RedisServer(std::vector<std::string> options) : options_(std::move(options)) {
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
  std::vector<std::string> command = {
      "redis-server", "--port",      "0", "--unixsocket", socket(), "--dir",
      dir_,           "--save",      "",  "--appendonly", "yes",    "--appendfsync",
      "no",           "--databases", "64"};
  command.insert(command.end(), options_.begin(), options_.end());
  pid_ = spawn(command);
  auto url = redis::parse_redis_url(this->url());
  if (!url) throw std::runtime_error(url.error().to_string());
  for (int i = 0; i < 500; ++i) {
    redis::Client client(*url);
    if (access(socket().c_str(), F_OK) == 0) {
      Status opened = client.open();
      if (opened || opened.error().code == EACCES) return;  // EACCES: it wants a password
    }
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
