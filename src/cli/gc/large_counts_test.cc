#include "cli/gc/large_counts.h"

#include <gtest/gtest.h>

#include <cstring>

namespace cider::cli {
namespace {

class LargeCountsTest : public ::testing::Test {
 protected:
  LargeCounts load() { return LargeCounts::load(*store_).value(); }
  void keep(std::string_view text) {
    Buffer buffer = Buffer::allocate(text.size(), nullptr);
    std::memcpy(buffer.mutable_data(), text.data(), text.size());
    ASSERT_TRUE(store_->put(LargeCounts::kKey, {buffer}, {}));
  }

  std::unique_ptr<object::ObjectStore> store_ = object::open_store({.storage = "mem", .bucket = "b"}).value();
};

TEST_F(LargeCountsTest, ACountIsLoweredWhenItIsSeenAgainLater) {
  LargeCounts first = load();
  EXPECT_EQ(first.see(7, 100, 3, 1000, 3600), 0);
  ASSERT_TRUE(first.save(*store_));

  LargeCounts soon = load();
  EXPECT_EQ(soon.see(7, 100, 3, 4599, 3600), 0);
  EXPECT_EQ(soon.see(7, 101, 3, 4599, 3600), 0) << "another slice";
  ASSERT_TRUE(soon.save(*store_));

  LargeCounts later = load();
  EXPECT_EQ(later.see(7, 100, 5, 4600, 3600), 3) << "by what both runs have found";
  EXPECT_EQ(later.see(7, 101, 3, 4600, 3600), 0);
  later.forget(7, 100);
  ASSERT_TRUE(later.save(*store_));
  EXPECT_EQ(load().see(7, 100, 5, 9000, 3600), 0) << "it was mended";
}

TEST_F(LargeCountsTest, TheSmallestExcessCounts) {
  for (const auto& [excess, now] : {std::pair(5, 1000), {2, 2000}, {9, 3000}}) {
    LargeCounts counts = load();
    EXPECT_EQ(counts.see(1, 1, excess, now, 3600), 0);
    ASSERT_TRUE(counts.save(*store_));
  }
  EXPECT_EQ(load().see(1, 1, 9, 5000, 3600), 2);
}

TEST_F(LargeCountsTest, WhatIsRightInBetweenIsForgotten) {
  LargeCounts first = load();
  (void)first.see(7, 100, 3, 1000, 3600);
  ASSERT_TRUE(first.save(*store_));
  ASSERT_TRUE(load().save(*store_));
  EXPECT_EQ(code_of(store_->head(LargeCounts::kKey)), ENOENT);
  EXPECT_EQ(load().see(7, 100, 3, 9000, 3600), 0);
}

TEST_F(LargeCountsTest, WhatCantBeUnderstoodIsNothing) {
  for (const char* text : {"7 100 3 x\n", "rubbish", "7 100 3 1000\n7 101", "-1 2"}) {
    keep(text);
    EXPECT_EQ(load().see(7, 100, 3, 9000, 3600), 0) << text;
  }
  keep("7 100 3 10000\n");
  EXPECT_EQ(load().see(7, 100, 3, 9000, 0), 0) << "seen in the future";
}

}  // namespace
}  // namespace cider::cli
