#include "meta/testing/postgres_server.h"

#include <pwd.h>
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

// Debian keeps the server's programs out of PATH, one folder for each version.
std::string programs() {
  std::string newest;
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    const std::string bin = version.path() / "bin";
    if (std::filesystem::exists(bin + "/initdb") && bin > newest) newest = bin;
  }
  return newest;
}

}  // namespace

bool PostgresServer::is_installed() {
  return !programs().empty();
}

std::vector<std::string> PostgresServer::as_user(std::vector<std::string> command) const {
  if (geteuid() != 0) return command;
  std::vector<std::string> out = {"setpriv",        "--reuid=postgres", "--regid=postgres",
                                  "--clear-groups", "--pdeathsig",      "QUIT"};
  out.insert(out.end(), command.begin(), command.end());
  return out;
}

void PostgresServer::run(const std::vector<std::string>& command) const {
  const pid_t pid = spawn(as_user(command));
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) throw std::runtime_error(command.front() + " fails; is PostgreSQL installed?");
}

void PostgresServer::give(const std::string& file) {
  if (geteuid() != 0) return;
  const passwd* user = getpwnam("postgres");
  if (!user || chown(file.c_str(), user->pw_uid, user->pw_gid) != 0)
    throw std::runtime_error("there is no user postgres");
}

PostgresServer::PostgresServer(std::vector<std::string> settings, std::string port)
    : settings_(std::move(settings)), port_(std::move(port)) {
  if (!is_installed()) throw std::runtime_error("there is no PostgreSQL (scripts/install-packages.sh test)");
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-pg-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  give(dir_);
  run({programs() + "/initdb", "-D", dir_ + "/data", "-U", "cider", "-A", "trust", "-E", "UTF8",
       "--locale=C.UTF-8", "--no-sync"});
  start();
}

PostgresServer::~PostgresServer() {
  crash();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void PostgresServer::start() {
  std::vector<std::string> command = {programs() + "/postgres",
                                      "-D",
                                      dir_ + "/data",
                                      "-k",
                                      dir_,
                                      "-c",
                                      "listen_addresses=",
                                      "-c",
                                      "fsync=off",
                                      "-c",
                                      "full_page_writes=off",
                                      "-c",
                                      "max_connections=200",
                                      "-c",
                                      "shared_buffers=64MB",
                                      "-c",
                                      "autovacuum=off",
                                      "-p",
                                      port_};
  for (const std::string& setting : settings_) command.insert(command.end(), {"-c", setting});
  pid_ = spawn(as_user(std::move(command)));
  for (int i = 0; i < 3000; ++i) {
    if (access(socket().c_str(), F_OK) == 0) {
      try {
        (void)sql("SELECT 1");
        return;
      } catch (const std::runtime_error&) {
        // not yet
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
  }
  throw std::runtime_error("PostgreSQL does not start");
}

// All backends end at once, without goodbye.
void PostgresServer::crash() {
  if (pid_ <= 0) return;
  kill(pid_, SIGCONT);
  kill(pid_, SIGQUIT);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void PostgresServer::restart() {
  crash();
  start();
}

std::string PostgresServer::psql(const std::string& arguments) const {
  return output_of("psql -X -q -A -t -v ON_ERROR_STOP=1 -h " + shell_quoted(dir_) + " -p " + port_ +
                   " -U cider -d postgres " + arguments + " 2>&1");
}

std::string PostgresServer::sql(const std::string& text) const {
  return psql("-c " + shell_quoted(text));
}

std::string PostgresServer::sql_file(const std::string& path) const {
  return psql("-f " + shell_quoted(path));
}

PostgresServer& PostgresServer::shared() {
  static PostgresServer server;
  return server;
}

}  // namespace cider::meta::testing
