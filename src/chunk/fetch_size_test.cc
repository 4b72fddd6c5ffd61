// What is asked of the store for which reads, with and without a block cache.
#include <gtest/gtest.h>

#include <future>

#include "chunk/fetcher.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/map_cache.h"
#include "object/testing/slow_store.h"

namespace cider::chunk {
namespace {

using object::testing::SlowStore;
using testing::eventually;
using testing::pattern;

constexpr uint32_t kBlock = 1 << 20;
constexpr uint64_t kSlice = 7;

class FetchTest : public ::testing::Test {
 protected:
  void begin(bool cached, bool whole_objects = false, uint32_t size = 4 * kBlock) {
    fetcher_.reset();
    size_ = size;
    content_ = pattern(size);
    blocks_.emplace(store_, Layout{.block_size = kBlock, .whole_objects = whole_objects}, &budget_,
                    cached ? &cache_ : nullptr);
    for (uint32_t i = 0; i * kBlock < size; i++) {
      std::string_view bytes = std::string_view(content_).substr(i * kBlock, kBlock);
      Buffer block = Buffer::allocate(bytes.size(), nullptr);
      std::memcpy(block.mutable_data(), bytes.data(), bytes.size());
      ASSERT_TRUE(blocks_->write_block(kSlice, i, {block}, {}));
    }
    fetcher_.emplace(*blocks_, budget_, Fetcher::Options{.threads = 8, .tries = 3});
  }

  std::string read(uint32_t off, uint32_t len, bool sequential = false) {
    const SliceRange range{kSlice, size_, off, len};
    BufferChain chain;
    bool late = false;
    Status status = fetcher_->read({&range, 1}, sequential, chain, late, {});
    if (!status) return "error " + std::to_string(status.error().code);
    std::string bytes;
    for (const Buffer& piece : chain) bytes += piece.text();
    return bytes;
  }
  std::string expected(uint32_t off, uint32_t len) const { return content_.substr(off, len); }
  static SlowStore::Asked block(uint32_t index, uint64_t off = 0, size_t size = kBlock) {
    return {"chunks/0/0/7_" + std::to_string(index) + "_" + std::to_string(kBlock), off, size};
  }

  SlowStore store_{std::move(*object::open_store({"mem", ""}))};
  testing::MapCache cache_;
  MemoryBudget budget_{64 << 20};
  uint32_t size_ = 0;
  std::string content_;
  std::optional<BlockStore> blocks_;
  std::optional<Fetcher> fetcher_;
};

TEST_F(FetchTest, AReadAtRandomAsksForNoMoreThanItNeeds) {
  begin(/*cached=*/false, false, 64 * kBlock);
  for (uint32_t i = 1; i < 20; i++) {
    const uint32_t off = i * 3 * kBlock + 5000 * i;
    EXPECT_EQ(read(off, 4096), expected(off, 4096));
  }
  uint64_t bytes = 0;
  for (const auto& asked : store_.asked()) bytes += asked.size;
  EXPECT_EQ(store_.asked().size(), 19u);
  EXPECT_EQ(bytes, 19 * 4096u);
}

TEST_F(FetchTest, ForACacheThatTakesNoReadsNothingIsFetchedBesideWhatIsRead) {
  cache_.only_asked = true;
  begin(/*cached=*/true);
  EXPECT_EQ(read(5000, 4096), expected(5000, 4096));
  EXPECT_EQ(read(3 * kBlock, kBlock), expected(3 * kBlock, kBlock));
  EXPECT_EQ(store_.asked(), (std::vector{block(0, 5000, 4096), block(3)}));
  EXPECT_EQ(cache_.size(), 0u);
  cache_.offer({kSlice, 1, kBlock}, {}, BlockCache::Origin::asked);
  EXPECT_EQ(cache_.size(), 1u);
}

TEST_F(FetchTest, ReadAtRandomTheBlockComesIntoTheCacheMeanwhile) {
  begin(/*cached=*/true);
  EXPECT_EQ(read(5000, 4096), expected(5000, 4096));
  ASSERT_TRUE(eventually([&] { return cache_.size() == 1; }));
  EXPECT_EQ(store_.asked(), (std::vector{block(0, 5000, 4096), block(0)}));
  EXPECT_EQ(read(700'000, 9000), expected(700'000, 9000));
  EXPECT_EQ(store_.asked().size(), 2u);
  EXPECT_GE(cache_.reads(), 1);
}

TEST_F(FetchTest, WhoGoesThroughAFileFetchesEachBlockOnceForTheCache) {
  begin(/*cached=*/true);
  for (uint32_t off = 0; off < size_; off += 128 << 10) {
    EXPECT_EQ(read(off, 128 << 10, true), expected(off, 128 << 10));
  }
  EXPECT_EQ(store_.asked(), (std::vector{block(0), block(1), block(2), block(3)}));
  EXPECT_TRUE(eventually([&] { return cache_.size() == 4; }));
}

TEST_F(FetchTest, WhatIsInMemoryIsNotReadFromTheCacheAndLeavesOnceItIsRead) {
  begin(/*cached=*/true, false, 16 * kBlock);
  const SliceRange all{kSlice, size_, 0, size_};
  fetcher_->prefetch({&all, 1});
  ASSERT_TRUE(eventually([&] { return cache_.size() == 16; }));
  for (uint32_t off = 0; off < size_; off += 128 << 10) {
    EXPECT_EQ(read(off, 128 << 10, true), expected(off, 128 << 10));
  }
  EXPECT_EQ(cache_.reads(), 0);
  EXPECT_EQ(store_.asked().size(), 16u);
  EXPECT_TRUE(eventually([&] { return fetcher_->memory_used() <= budget_.limit() / 16; }));
}

TEST_F(FetchTest, WhatIsCachedIsNotAskedFor) {
  cache_.takes_written = true;
  begin(/*cached=*/true);
  EXPECT_EQ(read(0, size_, true), content_);
  EXPECT_EQ(read(kBlock - 10, 20), expected(kBlock - 10, 20));
  const SliceRange all{kSlice, size_, 0, size_};
  fetcher_->prefetch({&all, 1});
  EXPECT_EQ(store_.asked().size(), 0u);
}

TEST_F(FetchTest, WhatTheCacheHasLostComesFromTheStore) {
  cache_.takes_written = true;
  begin(/*cached=*/true);
  cache_.remove({kSlice, 1, kBlock});
  EXPECT_EQ(read(0, size_, true), content_);
  EXPECT_EQ(store_.asked(), (std::vector{block(1)}));
}

TEST_F(FetchTest, ObjectsThatHaveNoPartsComeWhole) {
  begin(/*cached=*/false, /*whole_objects=*/true);
  EXPECT_EQ(read(kBlock + 5000, 100), expected(kBlock + 5000, 100));
  EXPECT_EQ(read(kBlock + 9000, 100), expected(kBlock + 9000, 100));
  EXPECT_EQ(store_.asked(), (std::vector{block(1)}));
}

// A pack of small files, of which a second one is read.
TEST_F(FetchTest, ASmallBlockThatIsReadAgainComesWhole) {
  begin(/*cached=*/false, false, kBlock);
  EXPECT_EQ(read(5000, 100), expected(5000, 100));
  EXPECT_EQ(read(50'000, 100), expected(50'000, 100));
  EXPECT_EQ(read(90'000, 100), expected(90'000, 100));
  uint64_t bytes = 0;
  for (const auto& asked : store_.asked()) bytes += asked.size;
  EXPECT_LE(bytes, kBlock + 100u);
  EXPECT_LE(store_.asked().size(), 3u);  // the first, and what is left of the block before and behind it
}

TEST_F(FetchTest, TheFrontIsAnsweredBeforeTheRestIsThere) {
  begin(/*cached=*/true);
  store_.hold_at(256 << 10);
  EXPECT_EQ(read(0, 4096, true), expected(0, 4096));
  EXPECT_EQ(read(200 << 10, 4096, true), expected(200 << 10, 4096));
  auto rest = std::async(std::launch::async, [&] { return read(500 << 10, 4096, true); });
  store_.release();
  EXPECT_EQ(rest.get(), expected(500 << 10, 4096));
  EXPECT_EQ(store_.asked(), (std::vector{block(0)}));
  EXPECT_TRUE(eventually([&] { return cache_.size() == 1; }));
}

TEST_F(FetchTest, AnAnswerThatBreaksOffIsGoneOnWith) {
  begin(/*cached=*/true);
  store_.hold_at(400 << 10, ECONNRESET);
  auto whole = std::async(std::launch::async, [&] { return read(0, kBlock, true); });
  ASSERT_TRUE(eventually([&] { return !store_.asked().empty(); }));
  store_.release();
  EXPECT_EQ(whole.get(), expected(0, kBlock));
  const auto asked = store_.asked();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[1], block(0, 400 << 10, kBlock - (400 << 10)));
}

TEST_F(FetchTest, ADamagedBlockIsReadOnceMoreAndThenRefused) {
  begin(/*cached=*/true);
  store_.hold_at(0, EBADMSG);
  EXPECT_EQ(read(0, kBlock, true), "error " + std::to_string(ENODATA));
  EXPECT_EQ(store_.asked(), (std::vector{block(0), block(0)}));
  EXPECT_EQ(cache_.size(), 0u);
  store_.release();
  EXPECT_EQ(read(0, kBlock, true), expected(0, kBlock));
}

// What gives way for a read may be a part of what it wants.
TEST_F(FetchTest, MemoryIsTakenFromWhatIsWantedToo) {
  begin(/*cached=*/false);
  MemoryBudget small(3 * kBlock);
  Fetcher tight(*blocks_, small, {.threads = 2, .tries = 1});
  const auto read_at = [&](uint32_t off, uint32_t len) {
    const SliceRange range{kSlice, size_, off, len};
    BufferChain chain;
    bool late = false;
    EXPECT_TRUE(tight.read({&range, 1}, false, chain, late, {}));
    std::string bytes;
    for (const Buffer& piece : chain) bytes += piece.text();
    return bytes;
  };
  EXPECT_EQ(read_at(0, kBlock), expected(0, kBlock));
  Buffer held = Buffer::allocate(2 * kBlock - 4096, &small);
  EXPECT_EQ(read_at(kBlock - 4096, kBlock), expected(kBlock - 4096, kBlock));
}

TEST_F(FetchTest, WithoutMemoryForABlockTheRangeAloneIsRead) {
  begin(/*cached=*/true);
  MemoryBudget small(256 << 10);
  Fetcher tight(*blocks_, small, {.threads = 2, .tries = 1});
  Buffer held = Buffer::allocate(200 << 10, &small);
  const SliceRange range{kSlice, size_, 0, 8192};
  BufferChain chain;
  bool late = false;
  ASSERT_TRUE(tight.read({&range, 1}, true, chain, late, {}));
  EXPECT_EQ(total_size(chain), 8192u);
  EXPECT_EQ(store_.asked(), (std::vector{block(0, 0, 8192)}));
}

TEST(StoreSpeed, FarAwayTheWholeIsWorthwhile) {
  using Seconds = StoreSpeed::Duration;
  StoreSpeed far;
  EXPECT_EQ(far.worthwhile(), 0u);
  for (int i = 0; i < 50; i++) far.note(1 << 20, Seconds(0.020), Seconds(0.028));
  EXPECT_NEAR(static_cast<double>(far.worthwhile()), 2.6e6, 0.2e6);  // 20 ms at 125 MiB/s
  StoreSpeed near;
  for (int i = 0; i < 50; i++) near.note(4096, Seconds(0.0001), Seconds(0.0001));
  for (int i = 0; i < 5; i++) near.note(1 << 20, Seconds(0.0008), Seconds(0.0008));
  EXPECT_LT(near.worthwhile(), 1u << 20);
}

}  // namespace
}  // namespace cider::chunk
