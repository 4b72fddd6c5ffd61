#include "meta/store/sql/sqlite/sqlite_db.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

#include "base/bytes.h"
#include "meta/store/sql/dialect.h"

namespace cider::meta::sqlite {

namespace {

// The failed system call beneath SQLite's I/O error. SQLite does not keep it for every statement (not for
// COMMIT); errno, which was cleared before the statement, still has it then.
int system_error(sqlite3* db) {
  int kept = sqlite3_system_errno(db);
  return kept != 0 ? kept : errno;
}

int code_of_io_error(int code) {
  switch (code) {
    case ENOSPC:
    case EFBIG:
      return ENOSPC;  // EFBIG: a limit on the size of files
    case EDQUOT:
    case EROFS:
    case EACCES:
    case ENOENT:
    case EISDIR:
    case EMFILE:
    case ENFILE:
      return code;
    default:
      return EIO;
  }
}

std::unexpected<Error> failure(sqlite3* db, int rc) {
  const int cause = system_error(db);
  std::string message = sqlite3_errmsg(db);
  switch (rc & 0xFF) {
    case SQLITE_FULL:
      return fail(ENOSPC, "no space for the database: " + message);
    case SQLITE_READONLY:
      return fail(EROFS, "the database is read-only: " + message);
    case SQLITE_CONSTRAINT:
      return fail(EEXIST, message);
    case SQLITE_NOTADB:
      return fail(EINVAL, "not a SQLite database: " + message);
    case SQLITE_CORRUPT:
      return fail(EIO, "the database is damaged: " + message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return fail(ETIMEDOUT, "another process does not release the database: " + message);
    case SQLITE_NOMEM:
      return fail(ENOMEM, message);
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return fail(EACCES, message);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: {
      if (cause != 0) message += std::string(" (") + std::strerror(cause) + ")";
      return fail(code_of_io_error(cause), message);
    }
    default:
      return fail(EIO, message);
  }
}

// Counting every allocation under one lock costs more than it tells; connections here are never shared
// between threads.
void configure_library() {
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

std::string immutable_uri(const std::string& path) {
  std::string uri = "file:";
  for (char c : path) {
    if (c == '?' || c == '#' || c == '%')
      uri += "%" + to_hex({&c, 1});
    else
      uri += c;
  }
  return uri + "?immutable=1";
}

}  // namespace

Query::~Query() {
  if (statement_) sqlite3_reset(statement_);
}

Result<bool> Query::next() {
  errno = 0;
  int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return failure(db_, rc);
}

int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string_view Query::bytes(int column) const {
  // The order matters: sqlite3_column_blob leaves TEXT as it is, and bytes() then counts it without looking
  // for a NUL.
  const void* data = sqlite3_column_blob(statement_, column);
  size_t size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  if (!data) return {};
  return {static_cast<const char*>(data), size};
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, const Options& options) {
  configure_library();
  std::unique_ptr<Connection> connection(new Connection(options.busy_limit));
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
  switch (options.mode) {
    case Mode::immutable:
      flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
      break;
    case Mode::read_only:
      flags |= SQLITE_OPEN_READONLY;
      break;
    case Mode::read_write:
      flags |= SQLITE_OPEN_READWRITE;
      break;
    case Mode::create:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
  }
  std::string name = options.mode == Mode::immutable ? immutable_uri(path) : path;
  int rc = sqlite3_open_v2(name.c_str(), &connection->db_, flags, nullptr);
  if (rc == SQLITE_OK) {
    Status status = connection->configure(options);
    if (!status) return fail(status.error().code, path + ": " + status.error().to_string());
    return connection;
  }
  if (!connection->db_) return fail(ENOMEM);
  Error error = failure(connection->db_, rc).error();
  return fail(error.code, path + ": " + error.message);
}

Connection::~Connection() {
  for (auto& [text, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(db_);
}

Status Connection::configure(const Options& options) {
  sqlite3_busy_handler(db_, &Connection::wait_for_lock, this);
  // The journal's mode is kept in the file: somebody else's database is left as it is.
  if (options.mode == Mode::create || (options.mode == Mode::read_write && TRY(holds_volume()))) {
    Query journal = TRY(query("PRAGMA journal_mode=WAL"));
    if (!TRY(journal.next()) || journal.bytes(0) != "wal") {
      return fail(EINVAL, "the database cannot use a write-ahead log here (a network file system?)");
    }
  }
  // NORMAL: a commit survives a crash of the process, and sync() makes it survive one of the machine.
  TRY(
      script("PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF; PRAGMA "
             "trusted_schema=OFF;"
             "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-" +
             std::to_string(options.cache_kib) +
             "; PRAGMA wal_autocheckpoint=0; PRAGMA query_only=" + (options.query_only ? "ON" : "OFF")));
  sqlite3_wal_hook(db_, &Connection::committed, this);
  Query probe =
      TRY(query("PRAGMA schema_version"));  // the first read of the file: says whether it is a database
  TRY(probe.next());
  return {};
}

Result<bool> Connection::holds_volume() {
  Query setting = TRY(query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'jfs_setting'"));
  return setting.next();
}

// Other processes hold the write lock for milliseconds, and leave gaps as short: look often, and not in step
// with them.
int Connection::wait_for_lock(void* self, int tries) {
  auto* connection = static_cast<Connection*>(self);
  auto now = std::chrono::steady_clock::now();
  if (tries == 0) connection->busy_since_ = now;
  if (now - connection->busy_since_ > connection->busy_limit_) return 0;
  thread_local std::minstd_rand random(std::random_device{}());
  int longest = std::min(2000, 400 + tries * 100);
  std::this_thread::sleep_for(
      std::chrono::microseconds(std::uniform_int_distribution<int>(200, longest)(random)));
  return 1;
}

Result<sqlite3_stmt*> Connection::prepare(const char* sql) {
  auto [found, is_new] = statements_.try_emplace(sql, nullptr);
  if (!is_new) return found->second;
  const std::string text = dialect().render(sql);
  int rc = sqlite3_prepare_v3(db_, text.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &found->second, nullptr);
  if (rc == SQLITE_OK) return found->second;
  statements_.erase(found);
  return failure(db_, rc);
}

Result<int64_t> Connection::finish(sqlite3_stmt* statement) {
  errno = 0;
  int rc;
  do rc = sqlite3_step(statement);
  while (rc == SQLITE_ROW);
  if (rc != SQLITE_DONE) {
    auto error = failure(db_, rc);
    sqlite3_reset(statement);
    return error;
  }
  int64_t changed = sqlite3_changes64(db_);
  sqlite3_reset(statement);
  return changed;
}

Status Connection::script(const std::string& sql) {
  int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return failure(db_, rc);
  return {};
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(db_) == 0;
}

void Connection::rollback() {
  if (!in_transaction()) return;
  // It can fail only where SQLite has rolled back already; nothing is left to undo then.
  (void)execute("ROLLBACK");
}

int Connection::committed(void* self, sqlite3*, const char*, int pages) {
  static_cast<Connection*>(self)->log_pages_ = pages;
  return SQLITE_OK;
}

Status Connection::checkpoint(std::chrono::milliseconds patience) {
  auto usual = std::exchange(busy_limit_, patience);
  // The first does the work and keeps nobody from writing; the second has little left, and waits for readers
  // of the old log.
  int rc = sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (rc == SQLITE_OK)
    rc = sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
  busy_limit_ = usual;
  if (rc == SQLITE_OK || (rc & 0xFF) == SQLITE_BUSY) return {};
  return failure(db_, rc);
}

// An empty string must not become NULL, so it needs an address.
Status Connection::bind(sqlite3_stmt* compiled, const Statement& statement, bool copy) {
  using Kind = sql::Value::Kind;
  const auto destructor = copy ? SQLITE_TRANSIENT : SQLITE_STATIC;
  int index = 0;
  for (const sql::Value& value : statement.values) {
    const char* bytes = value.bytes.empty() ? "" : value.bytes.data();
    int rc;
    ++index;
    if (value.kind == Kind::blob)
      rc = sqlite3_bind_blob64(compiled, index, bytes, value.bytes.size(), destructor);
    else if (value.kind == Kind::text)
      rc = sqlite3_bind_text64(compiled, index, bytes, value.bytes.size(), destructor, SQLITE_UTF8);
    else
      rc = sqlite3_bind_int64(compiled, index, value.number);
    if (rc != SQLITE_OK) return failure(db_, rc);
  }
  return {};
}

const sql::Dialect& Connection::dialect() const {
  static const sql::Dialect dialect(sql::Dialect::Kind::sqlite);
  return dialect;
}

Result<Query> Connection::start(const Statement& statement) {
  sqlite3_stmt* compiled = TRY(prepare(statement.text));
  TRY(bind(compiled, statement, /*copy=*/true));
  return Query(db_, compiled);
}

Result<std::unique_ptr<sql::Rows>> Connection::ask(const Statement& statement) {
  return std::unique_ptr<sql::Rows>(std::make_unique<Query>(TRY(start(statement))));
}

Result<int64_t> Connection::change(const Statement& statement) {
  sqlite3_stmt* compiled = TRY(prepare(statement.text));
  TRY(bind(compiled, statement, /*copy=*/false));
  return finish(compiled);
}

Result<Snapshot> Snapshot::begin(Connection& db) {
  TRY(db.execute("BEGIN"));
  return Snapshot(&db);
}

}  // namespace cider::meta::sqlite
