// Short forms of what tests of stores say often. For tests only.
#pragma once

#include <gtest/gtest.h>

#include "meta/store/store.h"

namespace cider::meta::testing {

// Commits writes with nothing read.
template <class... Items>
Status write(Store& store, const Items&... items) {
  return store.run(
      [&](Transaction& transaction) -> Status {
        (transaction.write(items), ...);
        return {};
      },
      {});
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

}  // namespace cider::meta::testing
