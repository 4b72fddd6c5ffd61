// URLs of MySQL databases, as JuiceFS takes them: what go-sql-driver reads, where nothing is escaped.
//
//   mysql://USER:PASSWORD@(HOST:PORT)/DB[?OPTIONS]        also tcp(HOST:PORT) and HOST:PORT
//   mysql://USER:PASSWORD@unix(/PATH/OF/SOCKET)/DB
//
// Options: tls (true, skip-verify, preferred, false), charset (utf8mb4), timeout, readTimeout, writeTimeout,
// max_open_conns, max_idle_conns, max_idle_time, max_life_time, table_prefix.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/store/sql/server/url_options.h"

namespace cider::meta::mysql {

enum class Tls { off, preferred, unverified, verified };

struct MysqlUrl : sql::server::UrlOptions {
  std::string user;
  std::string password;  // else of META_PASSWORD, META_PASSWORD_FILE
  std::string host;
  unsigned port = 3306;
  std::string socket;
  std::string database;
  Tls tls = Tls::off;
  std::chrono::seconds connect_limit{10};
  std::chrono::seconds read_limit{60};
  std::chrono::seconds write_limit{60};

  std::string describe() const;  // without password and options
};

// EINVAL, in words that hold no password.
Result<MysqlUrl> parse_mysql_url(std::string_view url);

}  // namespace cider::meta::mysql
