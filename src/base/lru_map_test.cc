#include "base/lru_map.h"

#include <gtest/gtest.h>

#include <string>

namespace cider {
namespace {

TEST(LruMap, holds_no_more_than_its_capacity) {
  LruMap<std::string, int> map(2);
  map.put("a", 1);
  map.put("b", 2);
  ASSERT_NE(map.find("a"), nullptr);  // so that b is the oldest
  map.put("c", 3);
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(map.find("b"), nullptr);
  EXPECT_EQ(*map.find("a"), 1);
  EXPECT_EQ(*map.find("c"), 3);
}

TEST(LruMap, replaces_and_erases) {
  LruMap<int, int> map(2);
  map.put(1, 10);
  map.put(1, 11);
  EXPECT_EQ(map.size(), 1u);
  EXPECT_EQ(*map.find(1), 11);
  map.erase(1);
  map.erase(2);
  EXPECT_EQ(map.find(1), nullptr);
  map.put(1, 12);
  map.clear();
  EXPECT_EQ(map.size(), 0u);
  EXPECT_EQ(map.find(1), nullptr);
}

}  // namespace
}  // namespace cider
