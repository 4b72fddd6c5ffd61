#include "meta/testing/tidb_server.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "meta/testing/redis_server.h"
#include "meta/testing/shell.h"

namespace cider::meta::testing {
namespace {

std::string program() {
  return built_program("CIDER_TIDB_SERVER", "tidb-server");
}

}  // namespace

bool TidbServer::is_there() {
  static const bool there = access(program().c_str(), X_OK) == 0;
  return there;
}

TidbServer::TidbServer() : port_(free_port()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-tidb-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  // It also writes into the folder that it starts in.
  pid_ = spawn({"/bin/sh",
                "-c",
                "cd \"$0\" && exec \"$@\"",
                dir_,
                program(),
                "-store",
                "unistore",
                "-path",
                "",
                "-host",
                "127.0.0.1",
                "-P",
                port_,
                "-report-status=false",
                "-lease",
                "0s",
                "-socket",
                dir_ + "/sock",
                "-log-file",
                dir_ + "/log"});
  for (int i = 0; i < 600; ++i) {
    try {
      (void)output_of("mariadb --no-defaults -h 127.0.0.1 -P " + port_ + " -u root test -e 'DO 1' 2>&1");
      return;
    } catch (const std::runtime_error&) {
      // not yet
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
  }
  throw std::runtime_error(program() + " does not start");
}

TidbServer::~TidbServer() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

TidbServer& TidbServer::shared() {
  static TidbServer server;
  return server;
}

}  // namespace cider::meta::testing
