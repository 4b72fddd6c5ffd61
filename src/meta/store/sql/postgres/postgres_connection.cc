#include "meta/store/sql/postgres/postgres_connection.h"

#include <endian.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <cstring>

#include "meta/store/sql/server/pool.h"

namespace cider::meta::postgres {
namespace {

using sql::Statement;
using sql::Value;
using sql::server::kLost;
using sql::server::kNoTable;
using sql::server::kRunAgain;
using sql::server::Outcome;

constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kText = 25;
constexpr int kBinary = 1;

// A wait is looked at so often, for whether its caller still wants the answer.
constexpr int kLookMillis = 50;

class PostgresRows final : public sql::Rows {
 public:
  explicit PostgresRows(Answer answer) : answer_(std::move(answer)) {}
  Result<bool> next() override { return ++row_ < PQntuples(answer_.get()); }
  int64_t integer(int column) const override {
    const std::string_view text = bytes(column);
    int64_t out = 0;
    if (text.size() == 8) {
      uint64_t raw;
      std::memcpy(&raw, text.data(), sizeof raw);
      out = static_cast<int64_t>(be64toh(raw));
    } else if (text.size() == 4) {
      uint32_t raw;
      std::memcpy(&raw, text.data(), sizeof raw);
      out = static_cast<int32_t>(be32toh(raw));
    } else if (text.size() == 2) {
      uint16_t raw;
      std::memcpy(&raw, text.data(), sizeof raw);
      out = static_cast<int16_t>(be16toh(raw));
    } else if (text.size() == 1) {
      out = text[0];
    }
    return out;
  }
  std::string_view bytes(int column) const override {
    const int size = PQgetlength(answer_.get(), row_, column);
    return {PQgetvalue(answer_.get(), row_, column), static_cast<size_t>(size)};
  }
  bool is_null(int column) const override { return PQgetisnull(answer_.get(), row_, column) != 0; }

 private:
  Answer answer_;
  int row_ = -1;
};

Oid type_of(const Value& value) {
  switch (value.kind) {
    case Value::Kind::blob:
      return kBytea;
    case Value::Kind::text:
      return kText;
    default:
      return kInt8;
  }
}

// Columns of 32 bits are signed here.
int64_t number_of(const Value& value) {
  if (value.kind != Value::Kind::narrow) return value.number;
  return static_cast<int32_t>(static_cast<uint32_t>(value.number));
}

Outcome outcome_of(Answer answer) {
  Outcome out;
  const char* changed = PQcmdTuples(answer.get());
  out.changed = *changed ? std::strtoll(changed, nullptr, 10) : 0;
  out.rows = std::make_unique<PostgresRows>(std::move(answer));
  return out;
}

}  // namespace

Error error_of(const PGresult* result) {
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view state = field ? field : "";
  const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string message = "PostgreSQL: " + std::string(text ? text : PQresultErrorMessage(result));
  if (!state.empty()) message += " (" + std::string(state) + ")";
  const auto is = [&](std::string_view code) { return state.starts_with(code); };
  int code = EIO;
  if (state.empty() || is("08") || is("57P0")) code = kLost;
  if (is("23505")) code = EEXIST;
  if (is("40001") || is("40P01") || is("55P03") || is("42P07")) code = kRunAgain;  // the last: CREATE of two
  if (is("42P01")) code = kNoTable;
  if (is("53100")) code = ENOSPC;
  if (is("25006")) code = EROFS;
  if (is("42501") || is("28")) code = EACCES;
  if (is("22021") || is("22P05")) code = EILSEQ;
  return {code, std::move(message)};
}

std::unexpected<Error> PostgresConnection::lost() {
  usable_ = false;
  return fail(kLost, std::string("PostgreSQL: ") + PQerrorMessage(handle_.get()));
}

Status PostgresConnection::wait(const std::stop_token& stop) {
  if (stop.stop_requested()) {
    usable_ = false;
    return fail(EINTR);
  }
  const int unsent = PQflush(handle_.get());
  if (unsent < 0) return lost();
  pollfd fd{PQsocket(handle_.get()), static_cast<short>(unsent > 0 ? POLLIN | POLLOUT : POLLIN), 0};
  const int ready = ::poll(&fd, 1, stop.stop_possible() ? kLookMillis : 1000);
  if (ready < 0 && errno != EINTR) return lost();
  if (ready > 0 && (fd.revents & ~POLLOUT) != 0 && PQconsumeInput(handle_.get()) == 0) return lost();
  return {};
}

Result<Answer> PostgresConnection::receive(const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(sql::server::kPatienceSeconds);
  while (PQisBusy(handle_.get()) != 0) {
    TRY(wait(stop));
    if (std::chrono::steady_clock::now() > end) {
      usable_ = false;
      return fail(kLost, "PostgreSQL: no answer");
    }
  }
  return Answer(PQgetResult(handle_.get()), &PQclear);
}

Result<Answer> PostgresConnection::receive_command(const std::stop_token& stop) {
  Answer answer = TRY(receive(stop));
  if (!answer) return lost();
  while (Answer(TRY(receive(stop)))) {
  }
  if (PQstatus(handle_.get()) == CONNECTION_BAD) return lost();
  return answer;
}

Status PostgresConnection::receive_sync(const std::stop_token& stop) {
  for (;;) {
    Answer answer = TRY(receive(stop));
    if (answer && PQresultStatus(answer.get()) == PGRES_PIPELINE_SYNC) return {};
    if (PQstatus(handle_.get()) == CONNECTION_BAD) return lost();
  }
}

Status PostgresConnection::receive_old(const std::stop_token& stop) {
  for (; old_syncs_ > 0; --old_syncs_) TRY(receive_sync(stop));
  return {};
}

bool PostgresConnection::send_prepare(const Prepared& prepared, const Statement& statement) {
  std::array<Oid, 64> types{};
  size_t count = 0;
  for (const Value& value : statement.values) types.at(count++) = type_of(value);
  return PQsendPrepare(handle_.get(), prepared.name.c_str(), prepared.text.c_str(), static_cast<int>(count),
                       types.data()) == 1;
}

bool PostgresConnection::send(const Statement& statement, std::vector<const Prepared*>* awaited) {
  const Prepared& prepared = driver_.prepared(statement);
  if (!prepared_.contains(&prepared)) {
    if (!send_prepare(prepared, statement)) return false;
    awaited->push_back(&prepared);
    prepared_.insert(&prepared);  // taken back if it fails
  }
  std::array<uint64_t, 64> numbers{};
  std::array<const char*, 64> values{};
  std::array<int, 64> lengths{};
  std::array<int, 64> formats{};
  int count = 0;
  for (const Value& value : statement.values) {
    const auto i = static_cast<size_t>(count++);
    formats.at(i) = kBinary;
    if (value.kind == Value::Kind::blob || value.kind == Value::Kind::text) {
      values.at(i) = value.bytes.empty() ? "" : value.bytes.data();
      lengths.at(i) = static_cast<int>(value.bytes.size());
    } else {
      numbers.at(i) = htobe64(static_cast<uint64_t>(number_of(value)));
      values.at(i) = reinterpret_cast<const char*>(&numbers.at(i));
      lengths.at(i) = sizeof(uint64_t);
    }
  }
  awaited->push_back(nullptr);
  return PQsendQueryPrepared(handle_.get(), prepared.name.c_str(), count, values.data(), lengths.data(),
                             formats.data(), kBinary) == 1;
}

// After the answers to all statements, one of which may have failed.
Status PostgresConnection::end_flight(std::optional<Error> error, const std::stop_token& stop) {
  if (error && error->code == kLost) {
    usable_ = false;
    return fail(*std::move(error));
  }
  TRY(receive_sync(stop));
  if (error) return fail(*std::move(error));
  return {};
}

Status PostgresConnection::flight(std::span<const Statement> statements, std::vector<Outcome>* outcomes,
                                  std::stop_token stop) {
  if (!usable_) return fail(kLost, "PostgreSQL: the connection was lost");
  driver_.count_round_trip();
  std::vector<const Prepared*> awaited;  // null: a statement itself
  for (const Statement& statement : statements) {
    if (!send(statement, &awaited)) return lost();
  }
  if (PQpipelineSync(handle_.get()) != 1 || PQflush(handle_.get()) < 0) return lost();
  TRY(receive_old(stop));
  std::optional<Error> error;
  for (const Prepared* prepared : awaited) {
    Answer answer = TRY(receive_command(stop));
    const ExecStatusType status = PQresultStatus(answer.get());
    const bool done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!done && prepared) prepared_.erase(prepared);
    if (!done && !error) error = error_of(answer.get());
    if (done && !prepared) outcomes->push_back(outcome_of(std::move(answer)));
  }
  return end_flight(std::move(error), stop);
}

Status PostgresConnection::script(const std::string& sql, std::stop_token stop) {
  if (!usable_) return fail(kLost, "PostgreSQL: the connection was lost");
  driver_.count_round_trip();
  if (PQsendQueryParams(handle_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, kBinary) != 1 ||
      PQpipelineSync(handle_.get()) != 1)
    return lost();
  TRY(receive_old(stop));
  Answer answer = TRY(receive_command(stop));
  const bool done = PQresultStatus(answer.get()) == PGRES_COMMAND_OK;
  std::optional<Error> error;
  if (!done) error = error_of(answer.get());
  return end_flight(std::move(error), stop);
}

void PostgresConnection::roll_back() {
  if (!usable_) return;
  if (PQsendQueryParams(handle_.get(), "ROLLBACK", 0, nullptr, nullptr, nullptr, nullptr, kBinary) != 1 ||
      PQpipelineSync(handle_.get()) != 1 || PQflush(handle_.get()) < 0) {
    usable_ = false;
    return;
  }
  ++old_syncs_;
}

Status PostgresConnection::set_up(const std::stop_token& stop) {
  if (PQsetnonblocking(handle_.get(), 1) != 0 || PQenterPipelineMode(handle_.get()) != 1) return lost();
  PQsetNoticeProcessor(handle_.get(), [](void*, const char*) {}, nullptr);
  const Statement who(
      "SELECT pid::text||' '||backend_start::text FROM pg_stat_activity WHERE pid=pg_backend_pid()");
  const Statement level("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED");
  std::vector<Statement> statements;
  statements.emplace_back(who.text);
  statements.emplace_back(level.text);
  std::vector<Outcome> outcomes;
  TRY(flight(statements, &outcomes, stop));
  if (TRY(outcomes.front().rows->next())) backend_ = outcomes.front().rows->bytes(0);
  return {};
}

}  // namespace cider::meta::postgres
