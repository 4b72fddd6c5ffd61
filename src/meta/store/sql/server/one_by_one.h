// A connection as a Session: each statement is a round trip.
#pragma once

#include <stop_token>
#include <utility>

#include "meta/store/sql/server/connection.h"

namespace cider::meta::sql::server {

class OneByOne final : public Session {
 public:
  OneByOne(Connection& connection, std::stop_token stop) : connection_(connection), stop_(std::move(stop)) {}

  const Dialect& dialect() const override { return connection_.dialect(); }
  Result<std::unique_ptr<Rows>> ask(const Statement& statement) override {
    Outcome outcome = TRY(run(statement));
    return std::move(outcome.rows);
  }
  Result<int64_t> change(const Statement& statement) override { return TRY(run(statement)).changed; }
  Status script(const std::string& sql) override { return connection_.script(sql, stop_); }

 private:
  Result<Outcome> run(const Statement& statement) {
    std::vector<Outcome> outcomes;
    TRY(connection_.flight({&statement, 1}, &outcomes, stop_));
    return std::move(outcomes.front());
  }

  Connection& connection_;
  const std::stop_token stop_;
};

}  // namespace cider::meta::sql::server
