#include "chunk/cache/block_index.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace cider::chunk {
namespace {

constexpr uint32_t kBlock = 4 << 20;

TEST(BlockIndex, AddsTouchesRemoves) {
  BlockIndex index;
  EXPECT_TRUE(index.add({7, 1, kBlock}, 5));
  EXPECT_FALSE(index.add({7, 1, kBlock}, 6));
  EXPECT_TRUE(index.contains({7, 1, kBlock}));
  EXPECT_FALSE(index.contains({7, 1, kBlock - 1}));
  EXPECT_FALSE(index.contains({7, 2, kBlock}));
  EXPECT_EQ(index.blocks(), 1u);
  EXPECT_EQ(index.bytes(), kBlock + 4096u);
  EXPECT_TRUE(index.touch({7, 1, kBlock}, 9));
  EXPECT_FALSE(index.remove_unused({{7, 1, kBlock}, 6, false}));
  auto removed = index.remove({7, 1, kBlock});
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->used, 9u);
  EXPECT_FALSE(index.remove({7, 1, kBlock}));
  EXPECT_EQ(index.bytes(), 0u);
}

TEST(BlockIndex, HoldsTheLargestNames) {
  BlockIndex index;
  const BlockName name{UINT64_MAX, 1023, 16 << 20};
  EXPECT_TRUE(index.add(name, BlockIndex::kMaxTick + 5));
  auto found = index.any();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, name);
  EXPECT_EQ(found->used, BlockIndex::kMaxTick);
}

// Compared with a set through many additions and removals, which grow and shrink the table.
TEST(BlockIndex, AgreesWithASet) {
  BlockIndex index;
  std::set<BlockName> model;
  uint64_t x = 1;
  for (int step = 0; step < 200'000; step++) {
    x = x * 6364136223846793005 + 1442695040888963407;
    const bool grow = (step / 25'000) % 2 == 0;
    const BlockName name{x >> 33 & 0x3fff, static_cast<uint32_t>(x >> 60 & 1), 100};
    if ((x >> 20 & 7) < (grow ? 6 : 2)) {
      EXPECT_EQ(index.add(name, 1), model.insert(name).second);
    } else {
      EXPECT_EQ(index.remove(name).has_value(), model.erase(name) == 1);
    }
  }
  EXPECT_EQ(index.blocks(), model.size());
  for (const BlockName& name : model) EXPECT_TRUE(index.contains(name));
}

TEST(BlockIndex, AMillionBlocksTakeAtMost24BytesEach) {
  BlockIndex index;
  for (uint64_t slice = 1; slice <= 1'000'000; slice++) {
    index.add({slice, 0, kBlock}, 1);
    if (slice % 50'000 == 0) {
      EXPECT_LE(index.memory(), slice * 24) << slice;
    }
  }
  EXPECT_EQ(index.blocks(), 1'000'000u);
}

// Eviction looks at a few entries, however many there are: none of it is a scan.
TEST(BlockIndex, EvictionStepsDontGrowWithTheIndex) {
  for (uint64_t blocks : {1'000u, 1'000'000u}) {
    BlockIndex index;
    for (uint64_t slice = 1; slice <= blocks; slice++) index.add({slice, 0, 100}, 1);
    const uint64_t before = index.steps();
    const uint64_t evicted = blocks * 9 / 10;
    for (uint64_t i = 0; i < evicted; i++) {
      auto victim = index.pick(2);
      ASSERT_TRUE(victim) << i;
      ASSERT_TRUE(index.remove_unused(*victim));
    }
    EXPECT_LE(index.steps() - before, evicted * 8);
    EXPECT_EQ(index.blocks(), blocks - evicted);
  }
}

TEST(BlockIndex, EvictionPrefersWhatWasUsedLongestAgo) {
  BlockIndex index;
  for (uint64_t slice = 1; slice <= 10'000; slice++) index.add({slice, 0, 100}, slice <= 5'000 ? 1 : 100);
  for (int i = 0; i < 3'000; i++) index.remove_unused(*index.pick(2));
  size_t recent = 0;
  for (uint64_t slice = 5'001; slice <= 10'000; slice++) recent += index.contains({slice, 0, 100});
  EXPECT_GT(recent, 4'000u);  // of a choice at random there would be 3 500 left
}

TEST(BlockIndex, StagedBlocksAreNotPicked) {
  BlockIndex index;
  for (uint64_t slice = 1; slice <= 100; slice++) index.add({slice, 0, 100}, 1, slice % 2 == 0);
  for (int i = 0; i < 1'000; i++) {
    auto victim = index.pick(2);
    if (victim) {
      EXPECT_EQ(victim->name.slice % 2, 1u);
    }
  }
  index.set_staged({2, 0, 100}, false);
  for (uint64_t slice = 1; slice < 100; slice += 2) index.remove({slice, 0, 100});
  std::optional<BlockIndex::Found> victim;
  for (int i = 0; i < 10'000 && !victim; i++) victim = index.pick(2);
  ASSERT_TRUE(victim);
  EXPECT_EQ(victim->name.slice, 2u);
}

TEST(BlockIndex, AScanForgetsWhatItDidNotSee) {
  BlockIndex index;
  index.add({1, 0, 10}, 5);
  index.add({2, 0, 10}, 6);
  index.begin_scan();
  index.see({1, 0, 10});
  index.see({3, 0, 10});
  index.add({4, 0, 10}, 7);
  index.end_scan();
  EXPECT_TRUE(index.contains({1, 0, 10}));
  EXPECT_FALSE(index.contains({2, 0, 10}));
  EXPECT_TRUE(index.contains({3, 0, 10}));
  EXPECT_TRUE(index.contains({4, 0, 10}));
  EXPECT_EQ(index.remove({1, 0, 10})->used, 5u);  // the scan was no use of it
  index.clear();
  EXPECT_EQ(index.blocks(), 0u);
  EXPECT_EQ(index.bytes(), 0u);
}

TEST(BlockIndex, ManyThreads) {
  BlockIndex index;
  std::vector<std::jthread> threads;
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&index, t] {
      for (uint64_t slice = 1; slice <= 20'000; slice++) {
        index.add({slice * 4 + t, 0, 100}, 1);
        if (auto victim = index.pick(2); victim && slice % 2 == 0) index.remove_unused(*victim);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(index.bytes(), index.blocks() * BlockIndex::cost(100));
}

}  // namespace
}  // namespace cider::chunk
