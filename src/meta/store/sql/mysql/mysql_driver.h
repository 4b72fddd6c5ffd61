// MySQL, and what speaks its protocol (MariaDB, TiDB), by libmariadb: a flight of statements is
// one text of several statements.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "meta/store/sql/mysql/mysql_url.h"
#include "meta/store/sql/server/connection.h"

namespace cider::meta::mysql {

class MysqlDriver final : public sql::server::Driver {
 public:
  explicit MysqlDriver(MysqlUrl url);

  const sql::Dialect& dialect() const override { return dialect_; }
  std::string name() const override { return "mysql"; }
  std::string describe() const override { return url_.describe(); }
  Result<std::unique_ptr<sql::server::Connection>> connect(std::stop_token stop) override;
  Status end(sql::server::Connection& by, const std::string& backend, std::stop_token stop) override;
  uint64_t round_trips() const override { return round_trips_; }

  const MysqlUrl& url() const { return url_; }
  // The statement in MySQL's language, with `?` for values.
  const std::string& text_of(const sql::Statement& statement);
  void count_round_trip() { ++round_trips_; }
  // What the server says it is, and as a number (50624: 5.6.24); before the first statement.
  void learn_version(std::string_view version, unsigned long number);
  bool is_tidb() const { return tidb_; }

 private:
  // Of the connection that `backend` names; 0: it has ended.
  Result<int64_t> number_of(sql::server::Connection& by, const std::string& backend,
                            const std::stop_token& stop) const;

  const MysqlUrl url_;
  sql::Dialect dialect_;
  std::once_flag learned_;
  bool tidb_ = false;
  std::atomic<uint64_t> round_trips_{0};
  std::mutex mutex_;
  std::map<std::pair<const char*, sql::Lock>, std::string> texts_;
};

}  // namespace cider::meta::mysql
