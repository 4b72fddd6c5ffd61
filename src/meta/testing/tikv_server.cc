#include "meta/testing/tikv_server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "base/bytes.h"
#include "base/testing/source_dir.h"
#include "meta/store/kv/tikv/region_key.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/testing/redis_server.h"

namespace cider::meta::testing {
namespace {

std::string program() {
  const char* named = std::getenv("CIDER_TIKV_SERVER");
  return named ? named : cider::testing::source_dir() + std::string("/build/tools/bin/tikv-server");
}

}  // namespace

bool TikvServer::is_there() {
  static const bool there =
      access(program().c_str(), X_OK) == 0 || std::getenv("CIDER_TEST_SERVERS") != nullptr;
  return there;
}

TikvServer::TikvServer(const std::vector<std::string>& splits) : port_(free_port()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-tikv-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  std::vector<std::string> command = {program(), "127.0.0.1:" + port_, dir_};
  for (const std::string& split : splits) command.push_back(to_hex(kv::to_region_key(split)));
  pid_ = spawn(command);
  for (int i = 0; i < 300; ++i) {
    if (kv::tikv_answers(url(""))) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
  }
  throw std::runtime_error(program() + " does not start; scripts/test.sh servers builds it");
}

TikvServer::~TikvServer() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

TikvServer& TikvServer::shared() {
  // Prefixes are names of temporary folders: the volumes lie in several regions, and some across their
  // borders.
  static TikvServer server({"cider-meta-G", "cider-meta-e"});
  return server;
}

}  // namespace cider::meta::testing
