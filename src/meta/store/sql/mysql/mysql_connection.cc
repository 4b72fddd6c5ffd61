#include "meta/store/sql/mysql/mysql_connection.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/bytes.h"
#include "meta/store/sql/server/pool.h"

namespace cider::meta::mysql {
namespace {

using sql::Statement;
using sql::Value;
using sql::server::kLost;
using sql::server::kNoTable;
using sql::server::kRunAgain;
using sql::server::Outcome;

// A value that does not fit is an error, never cut.
constexpr std::string_view kSettings =
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;"
    "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION';"
    "SET SESSION innodb_lock_wait_timeout=20";

// What MySQL 8 says to a connection that it ends for having been idle; the library does not name it.
constexpr unsigned kIdleTooLong = 4031;

// A wait is looked at so often, for whether its caller still wants the answer.
constexpr int kLookMillis = 50;

using Answer = std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)>;

class MysqlRows final : public sql::Rows {
 public:
  explicit MysqlRows(Answer answer) : answer_(std::move(answer)) {}
  Result<bool> next() override {
    row_ = answer_ ? mysql_fetch_row(answer_.get()) : nullptr;
    lengths_ = row_ ? mysql_fetch_lengths(answer_.get()) : nullptr;
    return row_ != nullptr;
  }
  int64_t integer(int column) const override {
    return row_[column] ? std::strtoll(row_[column], nullptr, 10) : 0;
  }
  std::string_view bytes(int column) const override {
    return row_[column] ? std::string_view(row_[column], lengths_[column]) : std::string_view{};
  }
  bool is_null(int column) const override { return row_[column] == nullptr; }

 private:
  Answer answer_;
  MYSQL_ROW row_ = nullptr;
  const unsigned long* lengths_ = nullptr;
};

Error error_of(MYSQL* handle) {
  const unsigned number = mysql_errno(handle);
  const std::string message =
      "MySQL: " + std::string(mysql_error(handle)) + " (" + std::to_string(number) + ")";
  switch (number) {
    case ER_DUP_ENTRY:
      return {EEXIST, message};
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_CHECKREAD:           // MariaDB: the row has changed since the snapshot
    case ER_TABLE_EXISTS_ERROR:  // CREATE of two
    case ER_DUP_FIELDNAME:       // ALTER of two
      return {kRunAgain, message};
    case ER_NO_SUCH_TABLE:
      return {kNoTable, message};
    case ER_DATA_TOO_LONG:  // columns end at 64 KiB: an attribute's value, 2730 slices of a chunk
    case ER_RECORD_FILE_FULL:
    case ER_DISK_FULL:
      return {ENOSPC, message};
    case ER_INVALID_CHARACTER_STRING:
    case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:  // characters that the column's set has not, stored
    case ER_CANT_AGGREGATE_2COLLATIONS:       // or compared with it
      return {EILSEQ, message};
    case ER_OPTION_PREVENTS_STATEMENT:
      return {EROFS, message};
    case ER_BAD_DB_ERROR:
      return {ENOENT, message};
    case ER_NO_SUCH_THREAD:
      return {ESRCH, message};
    case ER_ACCESS_DENIED_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_KILL_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case CR_SSL_CONNECTION_ERROR:
      return {EACCES, message};
    case ER_SERVER_SHUTDOWN:
    case ER_NORMAL_SHUTDOWN:
    case ER_CON_COUNT_ERROR:
    case ER_CONNECTION_KILLED:
    case kIdleTooLong:
      return {kLost, message};
    default:
      return {number >= CR_MIN_ERROR && number <= CR_MAX_ERROR ? kLost : EIO, message};
  }
}

// Hexadecimal literals need no escaping, whatever the session's mode.
void append_literal(const Value& value, std::string* out) {
  switch (value.kind) {
    case Value::Kind::integer:
      *out += std::to_string(value.number);
      return;
    case Value::Kind::narrow:  // columns of 32 bits are signed here
      *out += std::to_string(static_cast<int32_t>(static_cast<uint32_t>(value.number)));
      return;
    case Value::Kind::blob:
      *out += "x'" + to_hex(value.bytes) + "'";
      return;
    case Value::Kind::text:
      *out += "_utf8mb4 x'" + to_hex(value.bytes) + "'";
      return;
  }
}

void append_statement(std::string_view text, const Statement& statement, std::string* out) {
  auto value = statement.values.begin();
  for (char c : text) {
    if (c == '?') {
      append_literal(*value++, out);
    } else {
      *out += c;
    }
  }
}

Result<std::string> random_name() {
  std::string bytes(16, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_errno("random numbers for a connection's name");
  return "ciderfs-" + to_hex(bytes);
}

// What is not to be verified the library leaves out where the server has no TLS, whatever its option is
// called.
void set_tls(MYSQL* handle, Tls tls) {
  const my_bool verify = tls == Tls::verified;
  const my_bool wanted = tls != Tls::off;
  mysql_optionsv(handle, MYSQL_OPT_SSL_ENFORCE, &wanted);
  mysql_optionsv(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

}  // namespace

Result<std::unique_ptr<MysqlConnection>> MysqlConnection::open(MysqlDriver& driver) {
  const MysqlUrl& url = driver.url();
  Handle handle(mysql_init(nullptr), &mysql_close);
  if (!handle) return fail(ENOMEM);
  const auto limit = [&](mysql_option option, std::chrono::seconds time) {
    const unsigned seconds = static_cast<unsigned>(time.count());
    mysql_optionsv(handle.get(), option, &seconds);
  };
  limit(MYSQL_OPT_CONNECT_TIMEOUT, url.connect_limit);
  limit(MYSQL_OPT_READ_TIMEOUT, url.read_limit);
  limit(MYSQL_OPT_WRITE_TIMEOUT, url.write_limit);
  mysql_optionsv(handle.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  set_tls(handle.get(), url.tls);
  const bool by_socket = !url.socket.empty();
  // Else the name "localhost" stands for a socket in a place of the library's choice.
  const unsigned protocol = by_socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  mysql_optionsv(handle.get(), MYSQL_OPT_PROTOCOL, &protocol);
  if (!mysql_real_connect(handle.get(), by_socket ? "localhost" : url.host.c_str(), url.user.c_str(),
                          url.password.c_str(), url.database.c_str(), by_socket ? 0 : url.port,
                          by_socket ? url.socket.c_str() : nullptr,
                          CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS)) {
    return fail(error_of(handle.get()));
  }
  if (url.tls == Tls::unverified && mysql_get_ssl_cipher(handle.get()) == nullptr)
    return fail(EACCES, "MySQL: the server has no TLS, which the option tls asks for");
  driver.learn_version(mysql_get_server_info(handle.get()), mysql_get_server_version(handle.get()));
  return std::unique_ptr<MysqlConnection>(new MysqlConnection(driver, std::move(handle)));
}

Status MysqlConnection::set_up(const std::stop_token& stop) {
  if (driver_.is_tidb()) return set_up_tidb(stop);
  name_ = TRY(random_name());
  return script(std::string(kSettings) + ";DO GET_LOCK('" + name_ + "',0)", stop);
}

// A cluster may have been told that transactions lock nothing before their commit.
Status MysqlConnection::set_up_tidb(const std::stop_token& stop) {
  TRY(script(std::string(kSettings) + ";SET SESSION tidb_txn_mode='pessimistic'", stop));
  const Statement question[] = {Statement("SELECT CONNECTION_ID()")};
  std::vector<Outcome> outcomes;
  TRY(flight(question, &outcomes, stop));
  if (TRY(outcomes.front().rows->next())) name_ = outcomes.front().rows->bytes(0);
  return {};
}

std::unexpected<Error> MysqlConnection::failed() {
  Error error = error_of(handle_.get());
  if (error.code == kLost) usable_ = false;
  return fail(std::move(error));
}

Status MysqlConnection::wait_for_answer(const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() + driver_.url().read_limit;
  while (true) {
    pollfd fd{static_cast<int>(mysql_get_socket(handle_.get())), POLLIN, 0};
    const int ready = ::poll(&fd, 1, stop.stop_possible() ? kLookMillis : 1000);
    if (ready > 0) return {};
    if (stop.stop_requested()) {
      usable_ = false;
      return fail(EINTR);
    }
    if (std::chrono::steady_clock::now() > end) {
      usable_ = false;
      return fail(kLost, "MySQL: no answer");
    }
  }
}

Status MysqlConnection::send(const std::string& text, const std::stop_token& stop) {
  if (!usable_) return fail(kLost, "MySQL: the connection was lost");
  driver_.count_round_trip();
  rolled_back_ = false;
  if (mysql_send_query(handle_.get(), text.data(), text.size()) != 0) return failed();
  TRY(wait_for_answer(stop));
  if (mysql_read_query_result(handle_.get()) != 0) return failed();
  return {};
}

// Of the statement whose answer has begun.
Result<Outcome> MysqlConnection::receive() {
  Answer answer(mysql_store_result(handle_.get()), &mysql_free_result);
  if (!answer && mysql_errno(handle_.get()) != 0) return failed();
  Outcome outcome;
  outcome.changed = answer ? 0 : static_cast<int64_t>(mysql_affected_rows(handle_.get()));
  outcome.rows = std::make_unique<MysqlRows>(std::move(answer));
  return outcome;
}

// The server ends at the first statement that fails, and leaves the transaction open.
Status MysqlConnection::flight(std::span<const Statement> statements, std::vector<Outcome>* outcomes,
                               std::stop_token stop) {
  std::string text;
  for (const Statement& statement : statements) {
    if (!text.empty()) text += ';';
    append_statement(driver_.text_of(statement), statement, &text);
  }
  Status done = send(text, stop);
  for (size_t i = 0; done && i < statements.size(); ++i) {
    const std::string& form = driver_.text_of(statements[i]);
    const auto parts = 1 + std::ranges::count(form, ';');  // of which the last one answers
    for (int part = 0; done && part < parts; ++part) {
      const bool first = i == 0 && part == 0;
      if (!first && mysql_next_result(handle_.get()) != 0) {
        done = failed();
        break;
      }
      auto outcome = receive();
      if (!outcome) done = fail(outcome.error());
      if (outcome && part + 1 == parts) outcomes->push_back(*std::move(outcome));
    }
  }
  if (!done) roll_back();
  return done;
}

Status MysqlConnection::script(const std::string& sql, std::stop_token stop) {
  TRY(send(sql, stop));
  while (true) {
    TRY(receive());
    const int next = mysql_next_result(handle_.get());
    if (next < 0) return {};
    if (next > 0) return failed();
  }
}

void MysqlConnection::roll_back() {
  if (usable_ && !rolled_back_) rolled_back_ = script("ROLLBACK", {}).has_value();
}

}  // namespace cider::meta::mysql
