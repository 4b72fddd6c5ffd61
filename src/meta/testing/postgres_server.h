// A PostgreSQL server of the test's own: on a unix socket in a temporary folder, ended with the object. For
// tests only.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cider::meta::testing {

class PostgresServer {
 public:
  // Throws where there is no PostgreSQL or it does not start. It does not run as root, so there it runs as
  // the user postgres, whom its package makes. `settings`: more of them, NAME=VALUE.
  // `port`: for those that make it listen to addresses as well.
  explicit PostgresServer(std::vector<std::string> settings = {}, std::string port = "5432");
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;

  static bool is_installed();
  static void give(const std::string& file);  // to the user that it runs as

  std::string url(const std::string& options = {}) const { return url_at(dir_, options); }
  // Of a socket in another folder: a proxy's.
  static std::string url_at(const std::string& folder, const std::string& options = {}) {
    return "postgres://cider@/postgres?host=" + folder + (options.empty() ? "" : "&" + options);
  }
  std::string socket() const { return dir_ + "/.s.PGSQL." + port_; }
  const std::string& dir() const { return dir_; }
  pid_t pid() const { return pid_; }
  // A crash of the server, then a new one on the same socket with what the old one had committed.
  void restart();
  void crash();
  void start();
  // Runs statements by psql; what it prints. Throws where they fail.
  std::string sql(const std::string& text) const;
  std::string sql_file(const std::string& path) const;

  // One server for all tests of the process.
  static PostgresServer& shared();

 private:
  std::vector<std::string> as_user(std::vector<std::string> command) const;
  void run(const std::vector<std::string>& command) const;
  std::string psql(const std::string& arguments) const;

  const std::vector<std::string> settings_;
  const std::string port_;
  std::string dir_;
  pid_t pid_ = -1;
};

}  // namespace cider::meta::testing
