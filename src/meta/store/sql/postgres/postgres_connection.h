// One connection to PostgreSQL, always in pipeline mode.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "meta/store/sql/postgres/postgres_driver.h"

namespace cider::meta::postgres {

using Handle = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Answer = std::unique_ptr<PGresult, decltype(&PQclear)>;

class PostgresConnection final : public sql::server::Connection {
 public:
  PostgresConnection(PostgresDriver& driver, Handle handle) : driver_(driver), handle_(std::move(handle)) {}

  // Says who the server's side is.
  Status set_up(const std::stop_token& stop);

  const sql::Dialect& dialect() const override { return driver_.dialect(); }
  Status flight(std::span<const sql::Statement> statements, std::vector<sql::server::Outcome>* outcomes,
                std::stop_token stop) override;
  Status script(const std::string& sql, std::stop_token stop) override;
  void roll_back() override;
  bool is_usable() const override { return usable_; }
  std::string backend() const override { return backend_; }

 private:
  bool send(const sql::Statement& statement, std::vector<const Prepared*>* awaited);
  bool send_prepare(const Prepared& prepared, const sql::Statement& statement);
  // The next answer; null between those of different commands.
  Result<Answer> receive(const std::stop_token& stop);
  // All answers of one command.
  Result<Answer> receive_command(const std::stop_token& stop);
  Status end_flight(std::optional<Error> error, const std::stop_token& stop);
  Status receive_sync(const std::stop_token& stop);
  Status receive_old(const std::stop_token& stop);
  Status wait(const std::stop_token& stop);
  std::unexpected<Error> lost();

  PostgresDriver& driver_;
  Handle handle_;
  bool usable_ = true;
  int old_syncs_ = 0;  // of pipelines whose answers nobody awaited
  std::string backend_;
  std::unordered_set<const Prepared*> prepared_;
};

// An error of the server, by its SQLSTATE.
Error error_of(const PGresult* result);

}  // namespace cider::meta::postgres
