// URLs of PostgreSQL databases, as JuiceFS takes them: what libpq knows, and a few options more.
//
//   postgres://user:password@host:port/db?sslmode=disable&search_path=schema&table_prefix=name
//   postgres:///db?host=/run/postgresql
//
// Source: JuiceFS 1.4 pkg/meta/sql.go newSQLMeta; libpq's connection URIs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/store/sql/server/url_options.h"

namespace cider::meta::postgres {

struct PostgresUrl : sql::server::UrlOptions {
  std::vector<std::pair<std::string, std::string>> parameters;  // for libpq, the password among them
  std::string shown;                                            // without password and options
};

// EINVAL, in words that hold no password.
Result<PostgresUrl> parse_postgres_url(std::string_view url);

}  // namespace cider::meta::postgres
