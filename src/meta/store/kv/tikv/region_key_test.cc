#include "meta/store/kv/tikv/region_key.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace cider::meta::kv {
namespace {

TEST(RegionKeyTest, IsWhatThePlacementDriverKnows) {
  EXPECT_EQ(to_hex(to_region_key("")), "0000000000000000f7");
  EXPECT_EQ(to_hex(to_region_key("abc")), "6162630000000000fa");
  EXPECT_EQ(to_hex(to_region_key("abcdefgh")), "6162636465666768ff0000000000000000f7");
}

TEST(RegionKeyTest, ComesBack) {
  for (size_t size = 0; size < 30; ++size) {
    const std::string key(size, '\xfd');
    auto back = from_region_key(to_region_key(key));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, key);
  }
}

TEST(RegionKeyTest, KeepsTheOrder) {
  const std::string keys[] = {
      "",         std::string(1, '\0'), std::string(2, '\0'), "a", "a" + std::string(1, '\0'),
      "aaaaaaaa", "aaaaaaaab",          "aaaaaaab",           "b"};
  for (size_t i = 1; i < std::size(keys); ++i)
    EXPECT_LT(to_region_key(keys[i - 1]), to_region_key(keys[i])) << i;
}

TEST(RegionKeyTest, RefusesOtherForms) {
  for (const char* wrong : {"", "61", "6162636465666768ff", "6162636465666768ee", "6162630000000000fa61"})
    EXPECT_FALSE(from_region_key(from_hex(wrong).value())) << wrong;
}

}  // namespace
}  // namespace cider::meta::kv
