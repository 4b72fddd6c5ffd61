#include "meta/testing/tikv_server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/bytes.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/shell.h"

namespace cider::meta::testing {
namespace {

std::string program() {
  return built_program("CIDER_TIKV_SERVER", "tikv-server");
}

}  // namespace

bool TikvServer::is_there() {
  static const bool there =
      access(program().c_str(), X_OK) == 0 || std::getenv("CIDER_TEST_SERVERS") != nullptr;
  return there;
}

TikvServer::TikvServer(std::vector<std::string> splits, std::string proxied_port, std::string proxy_port)
    : splits_(std::move(splits)), port_(free_port()), addresses_("127.0.0.1:" + port_) {
  if (!proxied_port.empty()) addresses_ += ",127.0.0.1:" + proxied_port + "=127.0.0.1:" + proxy_port;
  make_folder();
  start();
}

TikvServer::TikvServer(const Certificates& certificates, std::string tls)
    : port_(free_port()),
      addresses_("localhost:" + port_),
      options_({"--tls", certificates.ca() + "," + certificates.server() + "," + certificates.server_key()}),
      tls_(std::move(tls)) {
  make_folder();
  start();
}

void TikvServer::make_folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-tikv-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
}

TikvServer::~TikvServer() {
  stop(SIGTERM);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void TikvServer::start() {
  std::vector<std::string> command = {program()};
  command.insert(command.end(), options_.begin(), options_.end());
  command.insert(command.end(), {addresses_, dir_});
  for (const std::string& split : splits_) command.push_back(to_hex(split));
  pid_ = spawn(command);
  for (int i = 0; i < 300; ++i) {
    if (kv::tikv_answers(url(""))) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
  }
  throw std::runtime_error(program() + " does not start; scripts/test.sh servers builds it");
}

void TikvServer::stop(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::vector<std::string> TikvServer::ask_client_go(const std::vector<std::string>& arguments) const {
  std::string command = shell_quoted(program()) + " client 127.0.0.1:" + port_;
  for (const std::string& argument : arguments) command += " " + shell_quoted(argument);
  const std::string text = output_of(command);
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TikvServer& TikvServer::shared() {
  // The lowest byte of an inode's number comes first.
  const std::string keys = std::string(kPartedPrefix) + '\xFD';
  static TikvServer server({keys + "A", keys + "A\x08", keys + "B"});
  return server;
}

}  // namespace cider::meta::testing
