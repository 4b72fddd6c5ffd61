#include "meta/testing/mysql_server.h"

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

struct Program {
  std::string path;
  std::string make_data;  // a command, but for the folder
  std::vector<std::string> options;
  std::string tables_here = {};  // for sed: makes of MariaDB's tables what its keys have room for
};

// MySQL from npm: a first data folder and the texts of messages are beside it.
Program packaged(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return {path,
          "cp -rT " + shell_quoted((folder / "data/mysql").string()) + " ",
          {"--basedir=" + folder.string(), "--lc-messages-dir=" + (folder / "share").string()},
          "s/varchar(255)/& CHARACTER SET utf8/"};
}

Program program() {
  if (const char* named = std::getenv("CIDER_MYSQL_SERVER")) return packaged(named);
  for (const char* path : {"/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd", "/usr/bin/mariadbd"}) {
    if (access(path, X_OK) != 0) continue;
    return {path,
            "mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db "
            "--skip-name-resolve" +
                std::string(geteuid() == 0 ? " --user=root" : "") + " --datadir=",
            {}};
  }
  throw std::runtime_error("there is no MariaDB (scripts/install-packages.sh test)");
}

}  // namespace

MysqlServer::MysqlServer(std::vector<std::string> options) : options_(std::move(options)) {
  const std::string make_data = program().make_data;
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-my-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  // A server that starts removes temporary tables that it finds, also those of another.
  (void)output_of("TMPDIR=" + shell_quoted(dir_) + " " + make_data + shell_quoted(dir_ + "/data") + " 2>&1");
  start();
  (void)output_of("mariadb --no-defaults -u root -S " + shell_quoted(socket()) +
                  " -e \"CREATE DATABASE cider CHARACTER SET utf8mb4; CREATE USER cider@localhost "
                  "IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO cider@localhost\" 2>&1");
}

MysqlServer::~MysqlServer() {
  crash();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

// What a commit wrote is the system's, so it outlives the process.
void MysqlServer::start() {
  const Program server = program();
  std::vector<std::string> command = {server.path,
                                      "--no-defaults",
                                      "--datadir=" + dir_ + "/data",
                                      "--tmpdir=" + dir_,
                                      "--socket=" + socket(),
                                      "--pid-file=" + dir_ + "/pid",
                                      "--skip-networking",
                                      "--max-connections=200",
                                      "--innodb-flush-log-at-trx-commit=2",
                                      "--innodb-buffer-pool-size=64M"};
  command.insert(command.end(), server.options.begin(), server.options.end());
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
  throw std::runtime_error(server.path + " does not start");
}

void MysqlServer::crash() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void MysqlServer::restart() {
  crash();
  start();
}

std::string MysqlServer::client() const {
  return "mariadb --no-defaults -N -B -u root -S " + shell_quoted(socket()) + " cider 2>&1";
}

std::string MysqlServer::sql(const std::string& text) const {
  return output_of(client() + " -e " + shell_quoted(text));
}

std::string MysqlServer::sql_file(const std::string& path) const {
  return output_of("sed " + shell_quoted(program().tables_here) + " " + shell_quoted(path) + " | " +
                   client());
}

MysqlServer& MysqlServer::shared() {
  static MysqlServer server;
  return server;
}

}  // namespace cider::meta::testing
