// A MySQL server of the test's own, MariaDB if the environment's CIDER_MYSQL_SERVER does not name another
// (scripts/test.sh mysql): on a unix socket in a temporary folder, ended with the object. For tests only.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cider::meta::testing {

class MysqlServer {
 public:
  // `options` are added to the command line. Throws where there is no server or it does not start.
  explicit MysqlServer(std::vector<std::string> options = {});
  ~MysqlServer();
  MysqlServer(const MysqlServer&) = delete;

  std::string url(const std::string& options = {}) const { return url_at(dir_, options); }
  // Of a socket in another folder: a proxy's.
  static std::string url_at(const std::string& folder, const std::string& options = {}) {
    return "mysql://cider:secret@unix(" + folder + "/sock)/cider" + (options.empty() ? "" : "?" + options);
  }
  std::string socket() const { return dir_ + "/sock"; }
  pid_t pid() const { return pid_; }
  // A crash of the server, then a new one on the same socket with what the old one had committed.
  void restart();
  void crash();
  void start();
  // Runs statements by the client program, in the database cider; what it prints, tabs between columns.
  // Throws where they fail.
  std::string sql(const std::string& text) const;
  std::string sql_file(const std::string& path) const;

  // One server for all tests of the process.
  static MysqlServer& shared();

 private:
  std::string client() const;

  const std::vector<std::string> options_;
  std::string dir_;
  pid_t pid_ = -1;
};

}  // namespace cider::meta::testing
