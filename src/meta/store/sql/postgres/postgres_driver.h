// PostgreSQL by libpq: a flight of statements is one pipeline.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "meta/store/sql/postgres/postgres_url.h"
#include "meta/store/sql/server/connection.h"

namespace cider::meta::postgres {

// A statement as PostgreSQL has it, prepared on each connection that uses it.
struct Prepared {
  std::string name;
  std::string text;
};

class PostgresDriver final : public sql::server::Driver {
 public:
  explicit PostgresDriver(PostgresUrl url);

  const sql::Dialect& dialect() const override { return dialect_; }
  std::string name() const override { return "postgres"; }
  std::string describe() const override { return url_.shown; }
  Result<std::unique_ptr<sql::server::Connection>> connect(std::stop_token stop) override;
  Status end(sql::server::Connection& by, const std::string& backend, std::stop_token stop) override;
  uint64_t round_trips() const override { return round_trips_; }

  // The same object each time.
  const Prepared& prepared(const sql::Statement& statement);
  void count_round_trip() { ++round_trips_; }

 private:
  const PostgresUrl url_;
  const sql::Dialect dialect_;
  std::atomic<uint64_t> round_trips_{0};
  std::mutex mutex_;
  std::map<std::pair<const char*, sql::Lock>, Prepared> prepared_;
};

}  // namespace cider::meta::postgres
