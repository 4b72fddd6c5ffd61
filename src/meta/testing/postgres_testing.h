// For the tests of the store `postgres`. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "meta/store/engines.h"
#include "meta/store/sql/server/server_store.h"
#include "meta/testing/postgres_server.h"

namespace cider::meta::postgres {

inline std::unique_ptr<Store> open(const std::string& url, bool read_only = false) {
  auto store = open_store(url, true, read_only);
  if (!store) throw std::runtime_error(store.error().to_string());
  return *std::move(store);
}

inline sql::server::CountingStore& counting(Store& store) {
  return dynamic_cast<sql::server::CountingStore&>(store);
}

// Asks one question, once as a reader and once within a write transaction: both must answer alike.
template <class Item>
Item ask(Store& store, const Item& question) {
  Item answers[2];
  size_t i = 0;
  auto operation = [&](Transaction& transaction) -> Status {
    Item& item = transaction.ask(question);
    TRY(transaction.fetch());
    answers[i] = item;
    return {};
  };
  Status read = store.read(operation, {});
  EXPECT_TRUE(read) << read.error().to_string();
  i = 1;
  Status run = store.run(operation, {});
  EXPECT_TRUE(run) << run.error().to_string();
  EXPECT_TRUE(still_holds(ReadItem(answers[0]), ReadItem(answers[1])));
  return answers[1];
}

template <class... Items>
Status write(Store& store, const Items&... items) {
  return store.run(
      [&](Transaction& transaction) -> Status {
        (transaction.write(items), ...);
        return {};
      },
      {});
}

}  // namespace cider::meta::postgres
