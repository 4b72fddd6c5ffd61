// For the tests of the store `postgres`. For tests only.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "meta/store/engines.h"
#include "meta/store/sql/server/server_store.h"
#include "meta/testing/postgres_server.h"
#include "meta/testing/store_calls.h"

namespace cider::meta::postgres {

using testing::ask;
using testing::write;

inline std::unique_ptr<Store> open(const std::string& url, bool read_only = false) {
  auto store = open_store(url, true, read_only);
  if (!store) throw std::runtime_error(store.error().to_string());
  return *std::move(store);
}

inline sql::server::CountingStore& counting(Store& store) {
  return dynamic_cast<sql::server::CountingStore&>(store);
}

}  // namespace cider::meta::postgres
