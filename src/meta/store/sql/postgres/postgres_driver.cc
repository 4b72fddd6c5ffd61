#include "meta/store/sql/postgres/postgres_driver.h"

#include <poll.h>

#include <chrono>

#include "meta/store/sql/postgres/postgres_connection.h"

namespace cider::meta::postgres {
namespace {

constexpr std::chrono::seconds kConnectLimit{10};

// libpq tells no SQLSTATE of a connection that was refused.
int code_of_refusal(std::string_view message) {
  const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
  if (says("authentication failed") || says("no pg_hba.conf entry") || says("no password supplied") ||
      says("permission denied for database"))
    return EACCES;
  if (says("database \"") && says("does not exist")) return ENOENT;
  if (says("role \"") && says("does not exist")) return EACCES;
  if (says("certificate verify failed") || says("does not match host name") ||
      says("valid client certificate") || says("alert "))  // of TLS
    return EACCES;
  if (says("invalid ") || says("server does not support SSL") || says("certificate")) return EINVAL;
  return sql::server::kLost;
}

}  // namespace

PostgresDriver::PostgresDriver(PostgresUrl url)
    : url_(std::move(url)), dialect_(sql::Dialect::Kind::postgres, url_.table_prefix) {}

const Prepared& PostgresDriver::prepared(const sql::Statement& statement) {
  std::lock_guard lock(mutex_);
  Prepared& prepared = prepared_[{statement.text, statement.lock}];
  if (prepared.name.empty()) {
    prepared.name = "cider" + std::to_string(prepared_.size());
    prepared.text = dialect_.render(statement.text, statement.lock);
  }
  return prepared;
}

Result<std::unique_ptr<sql::server::Connection>> PostgresDriver::connect(std::stop_token stop) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  const auto add = [&](const char* name, const char* value) {
    names.push_back(name);
    values.push_back(value);
  };
  // What the URL says comes later, and counts.
  add("fallback_application_name", "ciderfs");
  add("client_encoding", "UTF8");
  add("tcp_user_timeout", "60000");
  add("keepalives_idle", "30");
  for (const auto& [name, value] : url_.parameters) add(name.c_str(), value.c_str());
  add(nullptr, nullptr);
  Handle handle(PQconnectStartParams(names.data(), values.data(), 0), &PQfinish);
  if (!handle) return fail(ENOMEM);
  const auto end = std::chrono::steady_clock::now() + kConnectLimit;
  PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
  while (PQstatus(handle.get()) != CONNECTION_BAD) {
    if (stop.stop_requested()) return fail(EINTR);
    if (std::chrono::steady_clock::now() > end) return fail(sql::server::kLost, "PostgreSQL does not answer");
    pollfd fd{PQsocket(handle.get()), static_cast<short>(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT),
              0};
    if (::poll(&fd, 1, 50) == 0) continue;
    wanted = PQconnectPoll(handle.get());
    if (wanted == PGRES_POLLING_OK || wanted == PGRES_POLLING_FAILED) break;
  }
  if (PQstatus(handle.get()) != CONNECTION_OK) {
    const std::string message = PQerrorMessage(handle.get());
    return fail(code_of_refusal(message), "PostgreSQL: " + message);
  }
  auto connection = std::make_unique<PostgresConnection>(*this, std::move(handle));
  TRY(connection->set_up(stop));
  return std::unique_ptr<sql::server::Connection>(std::move(connection));
}

// By its start as well: the number of a process may be another one's by now.
Status PostgresDriver::end(sql::server::Connection& by, const std::string& backend, std::stop_token stop) {
  if (backend.empty()) return {};
  std::vector<sql::Statement> statements;
  statements.emplace_back(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid::text||' '||backend_start::text=?",
      sql::Text{backend});
  std::vector<sql::server::Outcome> outcomes;
  Status ended = by.flight(statements, &outcomes, std::move(stop));
  if (!ended && ended.error().code == EACCES) return {};  // not allowed: it will end by itself
  return ended;
}

}  // namespace cider::meta::postgres
