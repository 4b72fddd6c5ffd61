#include "meta/store/sql/postgres/postgres_store.h"

#include "meta/store/sql/postgres/postgres_driver.h"
#include "meta/store/sql/postgres/postgres_url.h"
#include "meta/store/sql/server/server_store.h"

namespace cider::meta {

Result<std::unique_ptr<Store>> open_postgres(std::string_view url, bool read_only) {
  postgres::PostgresUrl parsed = TRY(postgres::parse_postgres_url(url));
  const sql::server::ServerOptions options{static_cast<size_t>(parsed.max_connections), read_only};
  return sql::server::open_server(std::make_unique<postgres::PostgresDriver>(std::move(parsed)), options);
}

}  // namespace cider::meta
