#include "meta/testing/mariadb_server.h"

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
  for (const char* path : {"/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd", "/usr/bin/mariadbd"}) {
    if (access(path, X_OK) == 0) return path;
  }
  throw std::runtime_error("there is no MariaDB (scripts/install-packages.sh test)");
}

}  // namespace

MariadbServer::MariadbServer(std::vector<std::string> options) : options_(std::move(options)) {
  const std::string server = program();
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-my-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  // A server that starts removes temporary tables that it finds, also those of another.
  (void)output_of("TMPDIR=" + shell_quoted(dir_) +
                  " mariadb-install-db --no-defaults --datadir=" + shell_quoted(dir_ + "/data") +
                  " --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve" +
                  (geteuid() == 0 ? " --user=root" : "") + " 2>&1");
  start();
  (void)output_of("mariadb --no-defaults -u root -S " + shell_quoted(socket()) +
                  " -e \"CREATE DATABASE cider CHARACTER SET utf8mb4; CREATE USER cider@localhost "
                  "IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO cider@localhost\" 2>&1");
}

MariadbServer::~MariadbServer() {
  crash();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

// What a commit wrote is the system's, so it outlives the process.
void MariadbServer::start() {
  std::vector<std::string> command = {program(),
                                      "--no-defaults",
                                      "--datadir=" + dir_ + "/data",
                                      "--tmpdir=" + dir_,
                                      "--socket=" + socket(),
                                      "--pid-file=" + dir_ + "/pid",
                                      "--skip-networking",
                                      "--max-connections=200",
                                      "--innodb-flush-log-at-trx-commit=2",
                                      "--innodb-buffer-pool-size=64M"};
  command.insert(command.end(), options_.begin(), options_.end());
  if (geteuid() == 0) command.push_back("--user=root");
  pid_ = spawn(command);
  for (int i = 0; i < 3000; ++i) {
    try {
      (void)output_of("mariadb --no-defaults -u root -S " + shell_quoted(socket()) + " -e 'DO 1' 2>&1");
      return;
    } catch (const std::runtime_error&) {
      // not yet
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
  }
  throw std::runtime_error("MariaDB does not start");
}

void MariadbServer::crash() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void MariadbServer::restart() {
  crash();
  start();
}

std::string MariadbServer::client(const std::string& arguments) const {
  return output_of("mariadb --no-defaults -N -B -u root -S " + shell_quoted(socket()) + " cider " +
                   arguments + " 2>&1");
}

std::string MariadbServer::sql(const std::string& text) const {
  return client("-e " + shell_quoted(text));
}

std::string MariadbServer::sql_file(const std::string& path) const {
  return client("< " + shell_quoted(path));
}

MariadbServer& MariadbServer::shared() {
  static MariadbServer server;
  return server;
}

}  // namespace cider::meta::testing
