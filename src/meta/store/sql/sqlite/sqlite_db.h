// One connection to a SQLite database, and statements on it.
//
// A connection is used by one thread at a time. Statements are compiled once per connection and found again
// by the address of their text (sql/statement.h). Blobs and texts may hold any byte.
//
// Errors: ENOSPC (disk full), EROFS, EEXIST (a unique key is taken), EINVAL (not a SQLite database),
// ETIMEDOUT (another process held its lock too long), EIO with SQLite's message for everything else, a
// damaged file among it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "meta/store/sql/session.h"

struct sqlite3;
struct sqlite3_stmt;

namespace cider::meta::sqlite {

using sql::Statement;
using sql::Text;

// One execution of a statement. Ends (and gives up its snapshot, outside of a transaction) with the object.
class Query final : public sql::Rows {
 public:
  Query(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  Query(Query&& other) noexcept : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() override;

  Result<bool> next() override;
  int64_t integer(int column) const override;
  std::string_view bytes(int column) const override;  // of a BLOB or TEXT
  bool is_null(int column) const override;

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_;
};

class Connection final : public sql::Session {
 public:
  // immutable: a file on a read-only file system, which nobody can change, nor lock.
  enum class Mode { immutable, read_only, read_write, create };
  struct Options {
    Mode mode = Mode::read_write;
    bool query_only = false;  // refuses writes, although the file is open for them (WAL needs that)
    int cache_kib = 2048;
    std::chrono::milliseconds busy_limit{60'000};  // how long to wait for a lock of another process
  };
  static Result<std::unique_ptr<Connection>> open(const std::string& path, const Options& options);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const sql::Dialect& dialect() const override;
  Result<std::unique_ptr<sql::Rows>> ask(const Statement& statement) override;
  Result<int64_t> change(const Statement& statement) override;
  // As ask(), for what is asked often. Strings are copied.
  Result<Query> start(const Statement& statement);
  template <class... Args>
  Result<Query> query(const char* text, Args&&... args) {
    return start(Statement(text, std::forward<Args>(args)...));
  }
  // Runs statements that are not worth keeping.
  Status script(const std::string& sql) override;
  bool in_transaction() const;
  // Ends a transaction without its changes. Harmless where SQLite did so itself already.
  void rollback();

  // Length of the write-ahead log after this connection's last commit.
  int log_pages() const { return log_pages_; }
  // Copies the log into the database, and lets it begin anew unless readers keep it for longer than
  // `patience`. SQLite's own checkpoints never wait: with readers always about, the log grows without end and
  // every commit tries, and syncs, again.
  Status checkpoint(std::chrono::milliseconds patience);

 private:
  explicit Connection(std::chrono::milliseconds busy_limit) : busy_limit_(busy_limit) {}
  Status configure(const Options& options);
  Result<bool> holds_volume();
  static int wait_for_lock(void* self, int tries);
  static int committed(void* self, sqlite3* db, const char* schema, int pages);
  Result<sqlite3_stmt*> prepare(const char* sql);
  Result<int64_t> finish(sqlite3_stmt* statement);

  Status bind(sqlite3_stmt* compiled, const Statement& statement, bool copy);

  sqlite3* db_ = nullptr;
  int log_pages_ = 0;
  std::chrono::milliseconds busy_limit_;
  std::chrono::steady_clock::time_point busy_since_;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

// A transaction for reading: everything read through it stands at one instant.
class Snapshot {
 public:
  static Result<Snapshot> begin(Connection& db);
  Snapshot(Snapshot&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() {
    if (db_) db_->rollback();
  }

 private:
  explicit Snapshot(Connection* db) : db_(db) {}
  Connection* db_;
};

}  // namespace cider::meta::sqlite
