#include "meta/store/sql/mysql/mysql_store.h"

#include "meta/store/sql/mysql/mysql_driver.h"
#include "meta/store/sql/mysql/mysql_url.h"
#include "meta/store/sql/server/server_store.h"

namespace cider::meta {

Result<std::unique_ptr<Store>> open_mysql(std::string_view url, bool read_only) {
  mysql::MysqlUrl parsed = TRY(mysql::parse_mysql_url(url));
  const sql::server::ServerOptions options{static_cast<size_t>(parsed.max_connections), read_only};
  return sql::server::open_server(std::make_unique<mysql::MysqlDriver>(std::move(parsed)), options);
}

}  // namespace cider::meta
