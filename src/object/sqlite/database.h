// SQLite as the sqlite3 storage needs it: connections, statements and blobs that are read in parts.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"

namespace cider::object::sqlite {

// ENOSPC, EROFS, ETIMEDOUT (another process held its lock too long), EINVAL (no SQLite database), else EIO.
std::unexpected<Error> failure(sqlite3* db, int code, std::string_view what);

// One execution of a statement. Strings are bound as BLOB, and must live as long as the statement.
class Statement {
 public:
  static Result<Statement> prepare(sqlite3* db, const char* sql);

  Statement& bind(int index, std::string_view bytes);
  Statement& bind(int index, int64_t value);
  Result<bool> next();  // to the first, or next, row; false: no more
  Status run();         // to the end

  int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string_view bytes(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_error_ = SQLITE_OK;
};

// A column of one row, written or read in parts.
class Blob {
 public:
  static Result<Blob> open(sqlite3* db, int64_t row, bool writable);
  size_t size() const { return static_cast<size_t>(sqlite3_blob_bytes(blob_.get())); }
  Status read(size_t offset, std::span<std::byte> out);
  Status write(const BufferChain& data);

 private:
  struct Close {
    void operator()(sqlite3_blob* blob) const { sqlite3_blob_close(blob); }
  };
  sqlite3* db_ = nullptr;
  std::unique_ptr<sqlite3_blob, Close> blob_;
};

// BEGIN to COMMIT; rolled back where commit() was not reached.
class Transaction {
 public:
  static Result<Transaction> begin(sqlite3* db, bool writes);
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(sqlite3* db) : db_(db) {}
  sqlite3* db_;
};

// Connections to one file, made when they are needed and kept for the next user. Thread-safe.
class Pool {
 public:
  explicit Pool(std::string path) : path_(std::move(path)) {}
  ~Pool();

  // Makes the file and `schema` where they are not there.
  Status create(const char* schema);

  class Lease {
   public:
    Lease(Pool& pool, sqlite3* db) : pool_(&pool), db_(db) {}
    Lease(Lease&& other) noexcept : pool_(other.pool_), db_(std::exchange(other.db_, nullptr)) {}
    ~Lease() {
      if (db_) pool_->put_back(db_);
    }
    sqlite3* get() const { return db_; }

   private:
    Pool* pool_;
    sqlite3* db_;
  };
  // ENOENT where the file is not there.
  Result<Lease> lease() { return Lease(*this, TRY(take())); }

  // Makes all commits so far survive a power loss. An error stays.
  Status sync();
  const std::string& path() const { return path_; }

 private:
  Result<sqlite3*> connect(int flags);
  Result<sqlite3*> take();
  void put_back(sqlite3* db);

  const std::string path_;
  std::mutex mutex_;
  std::vector<sqlite3*> idle_;
  Status broken_;
};

}  // namespace cider::object::sqlite
