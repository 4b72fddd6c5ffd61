// A volume in the tables of an SQL server, whichever speaks through the driver.
#pragma once

#include <memory>

#include "meta/store/sql/server/connection.h"
#include "meta/store/store.h"

namespace cider::meta::sql::server {

struct ServerOptions {
  size_t connections = 10;
  bool read_only = false;  // writes answer EROFS; an old schema is not completed
};

// What tests count.
class CountingStore : public Store {
 public:
  virtual uint64_t round_trips() const = 0;
  virtual uint64_t conflicts() const = 0;
};

// Fails at once where the server is away or refuses. Open it after the last fork().
Result<std::unique_ptr<Store>> open_server(std::unique_ptr<Driver> driver, const ServerOptions& options);

}  // namespace cider::meta::sql::server
