// What the store asks of a driver for an SQL server.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/store/sql/dialect.h"
#include "meta/store/sql/session.h"
#include "meta/store/sql/statement.h"

namespace cider::meta::sql::server {

// Errors that never leave the store, beside EEXIST (a unique key is taken) and EINTR (stop was requested; the
// connection is of no use any more):
inline constexpr int kLost = -101;      // the connection, or the server, is gone: what was sent may have run
inline constexpr int kRunAgain = -102;  // the server undid the transaction: deadlock, conflict, lock time-out
inline constexpr int kNoTable = -103;

// What a statement of a flight answered.
struct Outcome {
  int64_t changed = 0;
  std::unique_ptr<Rows> rows;
};

// One thread at a time.
class Connection {
 public:
  virtual ~Connection() = default;
  // Sends the statements together and reads all answers: one round trip. `outcomes` gets those before the
  // first statement that failed; those behind it have not run. Answers that failure.
  virtual Status flight(std::span<const Statement> statements, std::vector<Outcome>* outcomes,
                        std::stop_token stop) = 0;
  // A text in the engine's language, which is not kept.
  virtual Status script(const std::string& sql, std::stop_token stop) = 0;
  // Sends ROLLBACK; its answer is awaited with the next flight.
  virtual void roll_back() = 0;
  virtual bool is_usable() const = 0;
  virtual const Dialect& dialect() const = 0;
  // The server's side, for Driver::end(); never again the same.
  virtual std::string backend() const = 0;
};

// Thread-safe.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual const Dialect& dialect() const = 0;
  virtual std::string name() const = 0;
  virtual std::string describe() const = 0;  // without secrets
  // A new connection at READ COMMITTED. kLost while the server is away; else what it says.
  virtual Result<std::unique_ptr<Connection>> connect(std::stop_token stop) = 0;
  // Ends another connection's server side, whose transaction is undone if it has not been committed. Nothing
  // happens where it has ended.
  virtual Status end(Connection& by, const std::string& backend, std::stop_token stop) = 0;
  virtual uint64_t round_trips() const = 0;  // of all connections, but for making them
};

}  // namespace cider::meta::sql::server
