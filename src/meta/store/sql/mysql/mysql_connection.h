// One connection to MySQL.
#pragma once

#include <mysql.h>

#include <memory>
#include <string>

#include "meta/store/sql/mysql/mysql_driver.h"

namespace cider::meta::mysql {

class MysqlConnection final : public sql::server::Connection {
 public:
  static Result<std::unique_ptr<MysqlConnection>> open(MysqlDriver& driver);

  // The session's settings, and what names it: a lock that it holds, or TiDB's number.
  Status set_up(const std::stop_token& stop);

  const sql::Dialect& dialect() const override { return driver_.dialect(); }
  Status flight(std::span<const sql::Statement> statements, std::vector<sql::server::Outcome>* outcomes,
                std::stop_token stop) override;
  Status script(const std::string& sql, std::stop_token stop) override;
  void roll_back() override;
  bool is_usable() const override { return usable_; }
  std::string backend() const override { return name_; }

 private:
  using Handle = std::unique_ptr<MYSQL, decltype(&mysql_close)>;
  MysqlConnection(MysqlDriver& driver, Handle handle) : driver_(driver), handle_(std::move(handle)) {}

  Status set_up_tidb(const std::stop_token& stop);
  Status send(const std::string& text, const std::stop_token& stop);
  Status wait_for_answer(const std::stop_token& stop);
  Result<sql::server::Outcome> receive();
  std::unexpected<Error> failed();

  MysqlDriver& driver_;
  const Handle handle_;
  bool usable_ = true;
  bool rolled_back_ = false;  // and nothing was sent since
  std::string name_;
};

}  // namespace cider::meta::mysql
