#include "meta/store/sql/mysql/mysql_driver.h"

#include <cstdlib>

#include "meta/store/sql/mysql/mysql_connection.h"

namespace cider::meta::mysql {

MysqlDriver::MysqlDriver(MysqlUrl url)
    : url_(std::move(url)), dialect_(sql::Dialect::Kind::mysql, url_.table_prefix) {}

void MysqlDriver::learn_version(std::string_view version, unsigned long number) {
  std::call_once(learned_, [&] {
    tidb_ = version.contains("TiDB");
    if (tidb_) dialect_.speak_tidb();
    if (number < (version.contains("MariaDB") ? 100202UL : 50707UL)) dialect_.have_short_keys();
  });
}

const std::string& MysqlDriver::text_of(const sql::Statement& statement) {
  std::lock_guard lock(mutex_);
  std::string& text = texts_[{statement.text, statement.lock}];
  if (text.empty()) text = dialect_.render(statement.text, statement.lock);
  return text;
}

Result<std::unique_ptr<sql::server::Connection>> MysqlDriver::connect(std::stop_token stop) {
  auto connection = TRY(MysqlConnection::open(*this));
  TRY(connection->set_up(stop));
  return std::unique_ptr<sql::server::Connection>(std::move(connection));
}

// Numbers of connections begin anew when the server does; the named lock that each holds tells which is
// meant. TiDB does not tell whose a lock is, and gives numbers for its whole cluster.
Result<int64_t> MysqlDriver::number_of(sql::server::Connection& by, const std::string& backend,
                                       const std::stop_token& stop) const {
  if (tidb_) return std::strtoll(backend.c_str(), nullptr, 10);
  const sql::Statement statements[] = {
      sql::Statement("SELECT coalesce(IS_USED_LOCK(?),0)", sql::Text{backend})};
  std::vector<sql::server::Outcome> outcomes;
  TRY(by.flight(statements, &outcomes, stop));
  if (!TRY(outcomes.front().rows->next())) return 0;
  return outcomes.front().rows->integer(0);
}

Status MysqlDriver::end(sql::server::Connection& by, const std::string& backend, std::stop_token stop) {
  if (backend.empty()) return {};
  const int64_t number = TRY(number_of(by, backend, stop));
  if (number == 0) return {};
  Status ended = by.script("KILL " + std::to_string(number), stop);
  if (!ended && (ended.error().code == EACCES || ended.error().code == ESRCH))
    return {};  // it will end by itself
  return ended;
}

}  // namespace cider::meta::mysql
