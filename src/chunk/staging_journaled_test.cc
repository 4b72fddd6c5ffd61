// Staging with a journal. What holds with and without one is in staging_test.cc.
#include <gtest/gtest.h>

#include <fstream>

#include "chunk/staging.h"
#include "chunk/testing/staging.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using namespace testing;
namespace fs = std::filesystem;

StagingOptions journaled(std::chrono::seconds delay) {
  StagingOptions options;
  options.journal = {1 << 20, 4, 100'000};
  options.delay = delay;
  return options;
}

StagingOptions journaled_later() {
  return journaled(std::chrono::hours(1));
}

// The blocks from `first` on go to the journal.
uint64_t add_until_journaled(Stage& s, uint64_t first) {
  EXPECT_TRUE(eventually([&] { return s.add({first++, 0, 500}) && s.value("staging_block_journaled") > 0; }));
  return first;
}

TEST(StagingJournaled, BlocksAreReadUploadedAndCached) {
  TempDir dir;
  FakeStore store;
  Stage s(dir.path(), store, journaled_later());
  const uint64_t first = add_until_journaled(s, 1);
  for (uint64_t id = first; id < first + 30; id++) {
    ASSERT_TRUE(s.add({id, 0, 50'000}));
    std::string out(1000, '\0');
    auto read = s.staging.read({id, 0, 50'000}, 40'000, std::as_writable_bytes(std::span(out)));
    ASSERT_TRUE(read);
    EXPECT_TRUE(*read);
    EXPECT_EQ(out, pattern(50'000, id).substr(40'000, 1000));
  }
  ASSERT_TRUE(s.staging.drain({}));
  s.cache.drain();
  for (uint64_t id = first; id < first + 30; id++) {
    EXPECT_EQ((store.objects[{id, 0, 50'000}]), pattern(50'000, id));
    EXPECT_TRUE(s.cache.contains({id, 0, 50'000}));
    EXPECT_TRUE(eventually([&] { return !fs::exists(s.file({id, 0, 50'000})); }));
  }
  EXPECT_EQ(s.staging.usage().bytes, 0u);
}

TEST(StagingJournaled, RemovedWhileItWaits) {
  TempDir dir;
  FakeStore store;
  Stage s(dir.path(), store, journaled_later());
  const uint64_t id = add_until_journaled(s, 1);
  ASSERT_TRUE(s.add({id, 0, 1000}));
  EXPECT_TRUE(s.staging.remove({id, 0, 1000}));
  EXPECT_FALSE(s.staging.holds({id, 0, 1000}));
  s.staging.stop();
  EXPECT_FALSE(fs::exists(s.file({id, 0, 1000})));
  EXPECT_FALSE(s.cache.contains({id, 0, 1000}));
}

TEST(StagingJournaled, StagedTwice) {
  TempDir dir;
  FakeStore store;
  Stage s(dir.path(), store, journaled_later());
  const uint64_t id = add_until_journaled(s, 1);
  ASSERT_TRUE(s.add({id, 0, 1000}));
  ASSERT_TRUE(s.add({id, 0, 1000}));
  ASSERT_TRUE(s.staging.drain({}));
  EXPECT_EQ((store.objects[{id, 0, 1000}]), pattern(1000, id));
  EXPECT_EQ(s.staging.usage().blocks, 0u);
  s.staging.stop();
  EXPECT_FALSE(fs::exists(s.file({id, 0, 1000})));
}

// A power loss takes files and names that were not synced: whatever was said to be staged is there.
TEST(StagingJournaled, PowerLoss) {
  TempDir before;
  TempDir after;
  FakeStore store;
  Stage first(before.path(), store, journaled_later());
  uint64_t id = add_until_journaled(first, 1);
  std::vector<BlockName> journaled_blocks;
  for (const uint64_t end = id + 20; id < end; id++) {
    const double already = first.value("staging_block_journaled");
    ASSERT_TRUE(first.add({id, 0, 50'000}));
    if (first.value("staging_block_journaled") > already) journaled_blocks.push_back({id, 0, 50'000});
  }
  ASSERT_GE(journaled_blocks.size(), 10u);
  for (const BlockName& block : journaled_blocks)
    EXPECT_TRUE(eventually([&] { return fs::exists(first.file(block)); }));
  fs::copy(before.path(), after.path(), fs::copy_options::recursive);
  for (size_t i = 0; i < journaled_blocks.size(); i++) {
    const fs::path file = after.path() / fs::relative(first.file(journaled_blocks[i]), before.path());
    if (i % 4 == 0) fs::remove(file);
    if (i % 4 == 1) fs::resize_file(file, 0);
    if (i % 4 == 2) std::fstream(file, std::ios::in | std::ios::out) << std::string(4096, '\0');
  }
  Stage next(after.path(), store, journaled(std::chrono::seconds(0)));
  ASSERT_TRUE(next.staging.drain({}));
  for (uint64_t i = id - 20; i < id; i++) EXPECT_EQ((store.objects[{i, 0, 50'000}]), pattern(50'000, i)) << i;
  EXPECT_EQ(next.value("staging_block_errors"), 0);
  EXPECT_FALSE(fs::exists(after.path() / kStagedUuid / "damaged"));
}

// Encrypted blocks are never in the journal, which is plain.
TEST(StagingJournaled, EncryptedBlocksHaveNone) {
  TempDir dir;
  FakeStore store;
  Stage s(dir.path(), store, journaled_later(), true, kStagedUuid, BlockForm::sealed);
  for (uint64_t id = 1; id <= 20; id++) ASSERT_TRUE(s.add({id, 0, 5000}));
  EXPECT_EQ(s.value("staging_block_journaled"), 0);
  EXPECT_FALSE(fs::exists(dir.path() / kStagedUuid / ".staging.journal"));
}

// A second process on the directory has none until it looks after it.
TEST(StagingJournaled, OneOfTwoProcessesHasIt) {
  TempDir dir;
  FakeStore store;
  auto first = std::make_unique<Stage>(dir.path(), store, journaled_later());
  const uint64_t id = add_until_journaled(*first, 1);
  FakeStore other_store;
  Stage second(dir.path(), other_store, journaled_later());
  ASSERT_TRUE(second.add({id + 1, 0, 500}));
  EXPECT_EQ(second.value("staging_block_journaled"), 0);
  first.reset();
  add_until_journaled(second, 10'000);
}

TEST(StagingJournaled, KillAtAnyMoment) {
  for (int round = 0; round < 10; round++) {
    TempDir dir;
    FakeStore store;
    const uint64_t acknowledged = staged_until_killed(
        1 + 3 * static_cast<uint64_t>(round), [&] { return Stage(dir.path(), store, journaled_later()); },
        [](Stage& s) { add_until_journaled(s, 1'000'000); });
    Stage next(dir.path(), store, journaled(std::chrono::seconds(0)));
    ASSERT_TRUE(next.staging.drain({}));
    for (uint64_t id = 1; id <= acknowledged; id++)
      EXPECT_EQ((store.objects[{id, 0, 50'000}]), pattern(50'000, id));
    EXPECT_EQ(next.value("staging_block_errors"), 0);
  }
}

TEST(StagingJournaled, ManyWritersReadersAndRemovers) {
  TempDir dir;
  FakeStore store;
  StagingOptions options = journaled(std::chrono::seconds(0));
  options.journal.segment = 128 << 10;
  Stage s(dir.path(), store, options);
  add_until_journaled(s, 1'000'000);
  write_read_and_remove_many(s, store, 80);
}

}  // namespace
}  // namespace cider::chunk
