// Blocks that go through staging: where they are read from, and what reaches the store.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "base/testing/fixtures.h"
#include "chunk/block_store.h"
#include "chunk/staging.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using testing::pattern;

struct Staged {
  explicit Staged(bool accept = true, const std::string& uuid = "uuid",
                  const std::filesystem::path& from = {}, uint32_t block_size = 64 << 10, bool spill = false,
                  bool journal = false) {
    if (!from.empty()) std::filesystem::copy(from, dir.path(), std::filesystem::copy_options::recursive);
    dirs = std::make_shared<CacheDirs>(std::vector<std::string>{dir.path()}, uuid,
                                       CacheDir::Options{"", 0600, 0, false});
    cache.emplace(dirs, DiskCache::Options{{}, block_size, 60 << 20}, metrics);
    blocks.emplace(*store, Layout{.block_size = block_size}, &budget, &*cache);
    StagingOptions options;
    options.accept = accept;
    options.spill = spill;
    options.journal = {1 << 20, journal ? size_t{4} : 0, 100'000};
    options.delay = std::chrono::hours(1);
    StagingTarget target;
    target.upload = [this](const BlockName& block, const BufferChain& data, std::stop_token stop) {
      return blocks->upload_block(block, data, stop);
    };
    target.exists = [this](const BlockName& block) { return blocks->has_object(block); };
    target.remove = [this](const BlockName& block) { (void)blocks->remove_object(block); };
    staging.emplace(dirs, &*cache, target, options, budget, metrics);
    staging->start();
    blocks->stage_in(&*staging);
  }
  ~Staged() { staging.reset(); }

  Status write(uint64_t slice, uint32_t index, std::string_view data) {
    Buffer buffer = Buffer::allocate(data.size(), &budget);
    std::memcpy(buffer.mutable_data(), data.data(), data.size());
    return blocks->write_block(slice, index, {buffer}, {});
  }
  Result<std::string> read(uint64_t slice, uint32_t size, uint32_t off, uint32_t len) {
    std::string out(len, '\0');
    TRY(blocks->read(slice, size, off, std::as_writable_bytes(std::span(out)), {}));
    return out;
  }
  size_t objects() { return store->list("", "", 100)->size(); }

  testing::TempDir dir;
  MetricSet metrics;
  MemoryBudget budget{64 << 20};
  std::unique_ptr<object::testing::FaultyStore> store =
      std::make_unique<object::testing::FaultyStore>(*object::open_store({"mem", ""}));
  std::shared_ptr<CacheDirs> dirs;
  std::optional<DiskCache> cache;
  std::optional<BlockStore> blocks;
  std::optional<Staging> staging;
};

TEST(BlockStoreStaging, StagedThenUploaded) {
  Staged s;
  const std::string data = pattern(100'000);
  ASSERT_TRUE(s.write(7, 0, data.substr(0, 64 << 10)));
  ASSERT_TRUE(s.write(7, 1, data.substr(64 << 10)));
  EXPECT_EQ(s.objects(), 0u);
  EXPECT_EQ(*s.read(7, 100'000, 60'000, 20'000), data.substr(60'000, 20'000));
  // Without its name in raw/, a block is read where it is staged.
  s.cache->remove({7, 0, 64 << 10});
  EXPECT_EQ(*s.read(7, 100'000, 10, 1000), data.substr(10, 1000));
  const BlockStore::SliceRef slice{7, 100'000};
  EXPECT_TRUE(s.blocks->sync({&slice, 1}));
  ASSERT_TRUE(s.staging->drain({}));
  EXPECT_EQ(s.objects(), 2u);
  EXPECT_EQ(*s.read(7, 100'000, 0, 100'000), data);
}

TEST(BlockStoreStaging, ADeletedSliceIsNeverUploaded) {
  Staged s;
  ASSERT_TRUE(s.write(7, 0, pattern(1000)));
  ASSERT_TRUE(s.blocks->remove_slice(7, 1000));
  EXPECT_EQ(s.staging->usage().blocks, 0u);
  EXPECT_EQ(code_of(s.read(7, 1000, 0, 10)), ENOENT);
  ASSERT_TRUE(s.staging->drain({}));
  EXPECT_EQ(s.objects(), 0u);
}

TEST(BlockStoreStaging, WithoutWritebackBlocksGoToTheStore) {
  Staged s(/*accept=*/false);
  ASSERT_TRUE(s.write(7, 0, pattern(1000)));
  EXPECT_EQ(s.objects(), 1u);
}

TEST(BlockStoreStaging, WhatTheStoreDoesNotTakeWaitsOnTheDiskWhereThatIsAllowed) {
  using object::testing::FaultyStore;
  for (const bool spill : {false, true}) {
    Staged s(/*accept=*/false, "uuid", {}, 64 << 10, spill);
    s.store->set_rule([](const FaultyStore::Call& call) {
      return FaultyStore::Verdict{.code = call.op == FaultyStore::Op::put ? ECONNREFUSED : 0};
    });
    EXPECT_EQ(code_of(s.write(7, 0, pattern(1000))), spill ? 0 : ECONNREFUSED);
    EXPECT_EQ(s.staging->usage().blocks, spill ? 1u : 0u);
    s.store->release();
    ASSERT_TRUE(s.write(8, 0, pattern(1000, 2)));
    EXPECT_EQ(s.objects(), 1u) << "the store is asked first";
    if (!spill) continue;
    EXPECT_EQ(*s.read(7, 1000, 0, 1000), pattern(1000));
    ASSERT_TRUE(s.staging->drain({}));
    EXPECT_EQ(s.objects(), 2u);
  }
}

// A number that is given out again, by an engine that lost its last commits: what is written now is read.
TEST(BlockStoreStaging, AnotherBlockOfTheSameName) {
  for (bool accept : {true, false}) {
    Staged s(accept);
    ASSERT_TRUE(s.write(7, 0, pattern(1000, 1)));
    s.cache->drain();
    EXPECT_EQ(*s.read(7, 1000, 0, 1000), pattern(1000, 1));
    ASSERT_TRUE(s.staging->drain({}));
    ASSERT_TRUE(s.write(7, 0, pattern(1000, 2)));
    EXPECT_EQ(*s.read(7, 1000, 0, 1000), pattern(1000, 2)) << accept;
  }
}

// It has no file yet, and the cache has the earlier one.
TEST(BlockStoreStaging, AnotherBlockOfTheSameNameInTheJournal) {
  Staged s(true, "uuid", {}, 64 << 10, false, /*journal=*/true);
  Counter& journaled = s.metrics.counter("staging_block_journaled");
  ASSERT_TRUE(s.write(7, 0, pattern(1000, 1)));
  ASSERT_TRUE(s.staging->drain({}));
  s.cache->drain();
  ASSERT_TRUE(s.cache->contains({7, 0, 1000}));
  uint64_t id = 100;
  ASSERT_TRUE(testing::eventually([&] { return s.write(id++, 0, pattern(100)) && journaled.value() > 0; }));
  const double before = journaled.value();
  ASSERT_TRUE(s.write(7, 0, pattern(1000, 2)));
  EXPECT_EQ(*s.read(7, 1000, 0, 1000), pattern(1000, 2));
  EXPECT_EQ(journaled.value(), before + 1);
}

TEST(BlockStoreStaging, WhatIsStagedDoesNotComeAfterWhatIsWrittenThrough) {
  Staged s;
  ASSERT_TRUE(s.write(7, 0, pattern(1000, 1)));
  Buffer newer = Buffer::allocate(1000, &s.budget);
  std::memcpy(newer.mutable_data(), pattern(1000, 2).data(), 1000);
  ASSERT_TRUE(s.blocks->write_through(7, 0, {newer}, {}));
  EXPECT_EQ(*s.read(7, 1000, 0, 1000), pattern(1000, 2));
  ASSERT_TRUE(s.staging->drain({}));
  s.cache->remove({7, 0, 1000});
  EXPECT_EQ(*s.read(7, 1000, 0, 1000), pattern(1000, 2));
}

// A volume that JuiceFS left with all its data staged.
TEST(BlockStoreStaging, AVolumeWhoseDataIsStagedByJuiceFS) {
  CIDER_FIXTURE(fixture, "small-writeback");
  Staged s(false, "e2150272-98fa-4947-966d-8a72ef8b41ee", fixture / "cache-dir", 4 << 20);
  EXPECT_GE(s.staging->usage().blocks, 4u);
  const std::string before = *s.read(4, 70'001, 0, 70'001);
  ASSERT_TRUE(s.staging->drain({}));
  std::string object(70'001, '\0');
  ASSERT_TRUE(s.store->get("chunks/0/0/4_0_70001", 0, std::as_writable_bytes(std::span(object)), {}));
  EXPECT_EQ(object, before);
}

}  // namespace
}  // namespace cider::chunk
