#include "meta/store/redis/shown_names.h"

#include <gtest/gtest.h>

#include <string>

namespace cider::meta::redis {
namespace {

TEST(ShownNames, EachNameIsNewOnce) {
  ShownNames names;
  for (int i = 0; i < 100'000; ++i) EXPECT_TRUE(names.insert(std::to_string(i))) << i;
  for (int i = 0; i < 100'000; ++i) EXPECT_FALSE(names.insert(std::to_string(i))) << i;
  EXPECT_TRUE(names.insert(""));
  EXPECT_FALSE(names.insert(""));
}

}  // namespace
}  // namespace cider::meta::redis
