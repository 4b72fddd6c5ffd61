#include "object/sqlite/database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "object/file_util.h"

namespace cider::object::sqlite {
namespace {

constexpr int kBusyMillis = 30'000;
constexpr size_t kMostIdle = 16;

Status script(sqlite3* db, const char* sql) {
  if (int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr); code != SQLITE_OK) {
    return failure(db, code, "statement");
  }
  return {};
}

}  // namespace

std::unexpected<Error> failure(sqlite3* db, int code, std::string_view what) {
  const std::string message =
      "SQLite: " + std::string(what) + ": " + (db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return fail(ENOSPC, message);
    case SQLITE_READONLY:
      return fail(EROFS, message);
    case SQLITE_PERM:
      return fail(EACCES, message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fail(ETIMEDOUT, message);
    case SQLITE_NOTADB:
      return fail(EINVAL, message);
    default:
      return fail(EIO, message);
  }
}

Result<Statement> Statement::prepare(sqlite3* db, const char* sql) {
  Statement made;
  sqlite3_stmt* statement = nullptr;
  if (int code = sqlite3_prepare_v2(db, sql, -1, &statement, nullptr); code != SQLITE_OK) {
    return failure(db, code, "prepare");
  }
  made.statement_.reset(statement);
  return made;
}

Statement& Statement::bind(int index, std::string_view bytes) {
  const char* data = bytes.empty() ? "" : bytes.data();
  const int code = sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_STATIC);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::bind(int index, int64_t value) {
  const int code = sqlite3_bind_int64(statement_.get(), index, value);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Result<bool> Statement::next() {
  sqlite3* db = sqlite3_db_handle(statement_.get());
  if (bind_error_ != SQLITE_OK) return failure(db, bind_error_, "bind");
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failure(db, code, "statement");
}

Status Statement::run() {
  while (TRY(next())) {
  }
  return {};
}

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  return {data, data ? static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)) : 0};
}

Result<Blob> Blob::open(sqlite3* db, int64_t row, bool writable) {
  Blob opened;
  opened.db_ = db;
  sqlite3_blob* blob = nullptr;
  const int code = sqlite3_blob_open(db, "main", "jfs_blob", "data", row, writable, &blob);
  opened.blob_.reset(blob);
  if (code != SQLITE_OK) return failure(db, code, "open the data");
  return opened;
}

Status Blob::read(size_t offset, std::span<std::byte> out) {
  if (out.empty()) return {};
  const int code =
      sqlite3_blob_read(blob_.get(), out.data(), static_cast<int>(out.size()), static_cast<int>(offset));
  if (code != SQLITE_OK) return failure(db_, code, "read the data");
  return {};
}

Status Blob::write(const BufferChain& data) {
  int offset = 0;
  for (const Buffer& piece : data) {
    if (piece.empty()) continue;
    const int size = static_cast<int>(piece.size());
    if (int code = sqlite3_blob_write(blob_.get(), piece.data(), size, offset); code != SQLITE_OK) {
      return failure(db_, code, "write the data");
    }
    offset += size;
  }
  return {};
}

Result<Transaction> Transaction::begin(sqlite3* db, bool writes) {
  TRY(script(db, writes ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(db);
}

Transaction::~Transaction() {
  if (db_ && sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Status Transaction::commit() {
  TRY(script(db_, "COMMIT"));
  db_ = nullptr;
  return {};
}

Pool::~Pool() {
  for (sqlite3* db : idle_) sqlite3_close_v2(db);
}

Result<sqlite3*> Pool::connect(int flags) {
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(path_.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | flags, nullptr);
  const auto configure = [&]() -> Status {
    if (code != SQLITE_OK) return failure(db, code, path_);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, kBusyMillis);
    Statement journal = TRY(Statement::prepare(db, "PRAGMA journal_mode = WAL"));
    // Where there can't be a log (some network file systems), each commit is synced instead.
    const bool has_log = TRY(journal.next()) && journal.bytes(0) == "wal";
    TRY(journal.run());
    return script(db, has_log ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
  };
  if (Status done = configure(); !done) {
    sqlite3_close_v2(db);
    return fail(std::move(done).error());
  }
  return db;
}

Status Pool::create(const char* schema) {
  Lease db(*this, TRY(connect(SQLITE_OPEN_CREATE)));
  TRY(script(db.get(), schema));
  return sync_directory(parent_of(path_));
}

Result<sqlite3*> Pool::take() {
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      sqlite3* db = idle_.back();
      idle_.pop_back();
      return db;
    }
  }
  struct stat st;
  if (::stat(path_.c_str(), &st) != 0) {
    if (errno == ENOENT) return fail(ENOENT, "the database " + path_ + " does not exist");
    return fail_errno(path_);
  }
  return connect(0);
}

void Pool::put_back(sqlite3* db) {
  {
    std::lock_guard lock(mutex_);
    if (idle_.size() < kMostIdle) {
      idle_.push_back(db);
      return;
    }
  }
  sqlite3_close_v2(db);
}

// Commits are in the log, which SQLite itself syncs only before it begins it anew. Locks are not on that
// file, so that it may be opened and closed here.
Status Pool::sync() {
  std::lock_guard lock(mutex_);
  TRY(broken_);
  UniqueFd log(::open((path_ + "-wal").c_str(), O_RDONLY | O_CLOEXEC));
  if (!log && errno == ENOENT) return {};
  if (!log) return fail_errno("open " + path_ + "-wal");
  // The kernel tells of a lost write once; a later sync that succeeds proves nothing.
  if (::fdatasync(log.get()) != 0) {
    broken_ = fail_errno("sync " + path_ + "-wal");
    return broken_;
  }
  return sync_directory(parent_of(path_));
}

}  // namespace cider::object::sqlite
