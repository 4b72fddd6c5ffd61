#include "chunk/staging.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <optional>

#include "base/testing/fixtures.h"
#include "chunk/testing/staging.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using cider::testing::read_file;
using namespace testing;
namespace fs = std::filesystem;

// What holds for plain and for encrypted files.
class StagingTest : public ::testing::TestWithParam<BlockForm> {
 protected:
  static Stage open(const fs::path& folder, FakeStore& store, StagingOptions options = at_once()) {
    return Stage(folder, store, options, true, kStagedUuid, GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Forms, StagingTest, testing::kForms, testing::form_name);

TEST_P(StagingTest, BlocksAreReadUntilTheyAreUploadedInOrder) {
  TempDir dir;
  FakeStore store;
  StagingOptions options = later();
  options.uploads = 1;
  Stage s = open(dir.path(), store, options);
  for (uint64_t id = 1; id <= 5; id++) ASSERT_TRUE(s.add({id, 0, 70'000}));
  EXPECT_EQ(s.staging.usage().blocks, 5u);
  EXPECT_EQ(s.value("staging_blocks"), 5);
  EXPECT_EQ(s.value("staging_block_bytes"), 350'000);
  std::string out(1000, '\0');
  auto read = s.staging.read({3, 0, 70'000}, 40'000, std::as_writable_bytes(std::span(out)));
  ASSERT_TRUE(read);
  EXPECT_TRUE(*read);
  EXPECT_EQ(out, pattern(70'000, 3).substr(40'000, 1000));
  EXPECT_EQ(fs::hard_link_count(s.file({3, 0, 70'000})), 2u);
  ASSERT_TRUE(s.staging.drain({}));
  EXPECT_EQ(store.objects.size(), 5u);
  for (uint64_t id = 1; id <= 5; id++) {
    EXPECT_EQ(store.order[id - 1].slice, id);
    EXPECT_EQ((store.objects[{id, 0, 70'000}]), pattern(70'000, id));
    EXPECT_FALSE(s.staging.holds({id, 0, 70'000}));
  }
  EXPECT_TRUE(eventually([&] { return !fs::exists(s.file({5, 0, 70'000})); }));
  EXPECT_EQ(s.value("staging_blocks"), 0);
  EXPECT_EQ(s.value("staging_block_bytes"), 0);
  EXPECT_TRUE(s.cache.contains({5, 0, 70'000}));  // what was staged is cached
}

TEST_P(StagingTest, DelayAndHoursHoldUploadsBack) {
  TempDir dir;
  FakeStore store;
  Stage s = open(dir.path(), store, later());
  ASSERT_TRUE(s.add({1, 0, 100}));
  std::this_thread::sleep_for(Millis(700));
  EXPECT_EQ(store.size(), 0u);
  s.clock.nanos += int64_t{3600} * 1'000'000'000;
  EXPECT_TRUE(eventually([&] { return store.size() == 1; }));

  const time_t seconds = s.clock.nanos / 1'000'000'000;
  tm local{};
  ::localtime_r(&seconds, &local);
  const int hour = local.tm_hour;
  EXPECT_TRUE((UploadHours{hour, (hour + 1) % 24}).contains(s.clock.now()));
  EXPECT_FALSE((UploadHours{(hour + 1) % 24, hour}).contains(s.clock.now()));
  EXPECT_TRUE((UploadHours{(hour + 20) % 24, (hour + 1) % 24}).contains(s.clock.now()));
  EXPECT_TRUE((UploadHours{5, 5}).contains(s.clock.now()));
  EXPECT_EQ(parse_upload_hours("22-6")->begin, 22);
  EXPECT_EQ(parse_upload_hours("0,6")->end, 6);
  for (const char* bad : {"6", "24,1", "1,24", "a,b", "1,2,3", "-1,3"})
    EXPECT_FALSE(parse_upload_hours(bad)) << bad;
}

// The next upload begins when one has ended, not when somebody looks at the clock.
TEST_P(StagingTest, UploadsFollowOneAnother) {
  TempDir dir;
  FakeStore store;
  StagingOptions options = at_once();
  options.uploads = 1;
  Stage s = open(dir.path(), store, options);
  for (uint64_t id = 1; id <= 100; id++) ASSERT_TRUE(s.add({id, 0, 1000}));
  EXPECT_TRUE(eventually([&] { return store.size() == 100; }));
}

TEST_P(StagingTest, WhoeverWritesComesFirst) {
  TempDir dir;
  FakeStore store;
  store.hold(true);
  StagingOptions options = at_once();
  options.pause = options.patience = std::chrono::hours(1);
  Stage s = open(dir.path(), store, options);
  const auto tries = [&] {
    std::lock_guard lock(store.mutex);
    return store.tries;
  };
  for (uint64_t id = 1; id <= 15; id++) ASSERT_TRUE(s.add({id, 0, 1000}));
  EXPECT_TRUE(eventually([&] { return tries() == 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(tries(), 2) << "a tenth of 20";
  std::jthread drains([&] { EXPECT_TRUE(s.staging.drain({})); });
  EXPECT_TRUE(eventually([&] { return tries() == 15; }));
  store.hold(false);
}

TEST_P(StagingTest, UploadsRunWhenNobodyWritesOrHasForLong) {
  for (const bool for_long : {false, true}) {
    TempDir dir;
    FakeStore store;
    store.hold(true);
    StagingOptions options = at_once();
    options.pause = std::chrono::milliseconds(for_long ? 3'600'000 : 1);
    options.patience = std::chrono::milliseconds(for_long ? 1 : 3'600'000);
    Stage s = open(dir.path(), store, options);
    for (uint64_t id = 1; id <= 15; id++) ASSERT_TRUE(s.add({id, 0, 1000}));
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(store.mutex);
      return store.tries == 15;
    })) << for_long;
    store.hold(false);
  }
}

TEST_P(StagingTest, AnOutageIsWaitedFor) {
  TempDir dir;
  FakeStore store;
  store.set_open(false);
  Stage s = open(dir.path(), store);
  for (uint64_t id = 1; id <= 20; id++) ASSERT_TRUE(s.add({id, 0, 1000}));
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(store.mutex);
    return store.tries >= 40;
  }));
  EXPECT_EQ(s.staging.usage().blocks, 20u);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of(s.staging.drain(stop.get_token())), EINTR);
  store.set_open(true);
  EXPECT_TRUE(s.staging.drain({}));
  EXPECT_EQ(store.size(), 20u);
}

TEST_P(StagingTest, LimitsSendBlocksToTheStore) {
  TempDir dir;
  FakeStore store;
  StagingOptions options = later();
  options.threshold = 5000;
  options.max_bytes = 10'000;
  options.max_age = std::chrono::seconds(60);
  Stage s = open(dir.path(), store, options);
  EXPECT_FALSE(s.add({1, 0, 5000}));
  EXPECT_TRUE(s.add({1, 0, 4999}));
  EXPECT_TRUE(s.add({2, 0, 4999}));
  EXPECT_FALSE(s.add({3, 0, 4999}));
  EXPECT_TRUE(s.add({3, 0, 2}));
  s.clock.nanos += int64_t{61} * 1'000'000'000;
  EXPECT_FALSE(s.add({4, 0, 1}));
  EXPECT_EQ(s.value("staging_block_errors"), 0);
}

TEST_P(StagingTest, WhatIsLeftIsUploadedByTheNextRun) {
  TempDir dir;
  FakeStore store;
  {
    Stage first = open(dir.path(), store, later());
    for (uint64_t id = 1; id <= 10; id++) ASSERT_TRUE(first.add({id, 0, 1000}));
  }
  EXPECT_EQ(store.size(), 0u);
  Stage second = open(dir.path(), store);
  EXPECT_TRUE(second.staging.drain({}));
  EXPECT_EQ(store.size(), 10u);
  for (uint64_t id = 1; id <= 10; id++) EXPECT_EQ((store.objects[{id, 0, 1000}]), pattern(1000, id));
}

// One looks after a directory; what the other has staged is found when that has ended.
TEST_P(StagingTest, TwoProcessesOnOneDirectory) {
  TempDir dir;
  FakeStore store;
  FakeStore other_store;
  auto first = std::make_unique<Stage>(dir.path(), store, later(), true, kStagedUuid, GetParam());
  ASSERT_TRUE(first->add({1, 0, 1000}));
  Stage second = open(dir.path(), other_store);
  EXPECT_FALSE(second.staging.holds({1, 0, 1000}));
  ASSERT_TRUE(second.add({2, 0, 1000}));
  EXPECT_TRUE(second.staging.drain({}));
  EXPECT_EQ(other_store.size(), 1u);
  first.reset();
  EXPECT_TRUE(eventually([&] { return other_store.size() == 2; }));
}

TEST_P(StagingTest, FilesThatAreGoneOrDamaged) {
  TempDir dir;
  FakeStore store;
  {
    Stage first = open(dir.path(), store, later());
    for (uint64_t id = 1; id <= 5; id++) ASSERT_TRUE(first.add({id, 0, 100'000}));
    // 2: uploaded and removed by somebody else; 3: a bit is wrong; 4: cut short.
    store.objects[{2, 0, 100'000}] = "theirs";
    std::fstream(first.file({3, 0, 100'000}), std::ios::in | std::ios::out).seekp(50'000) << "?";
    fs::resize_file(first.file({4, 0, 100'000}), 1234);
  }
  Stage second = open(dir.path(), store, later());
  EXPECT_TRUE(second.staging.holds({2, 0, 100'000}));
  fs::remove(second.file({2, 0, 100'000}));
  std::string out(10, '\0');
  const auto bytes = std::as_writable_bytes(std::span(out));
  EXPECT_FALSE(*second.staging.read({2, 0, 100'000}, 0, bytes));  // ask the store
  EXPECT_EQ(code_of(second.staging.read({3, 0, 100'000}, 50'000, bytes)), EIO);
  EXPECT_EQ(code_of(second.staging.read({4, 0, 100'000}, 0, bytes)), EIO);
  EXPECT_TRUE(second.staging.drain({}));
  EXPECT_EQ(store.size(), 3u);
  EXPECT_EQ((store.objects[{2, 0, 100'000}]), "theirs");
  const std::string ending = GetParam() == BlockForm::sealed ? "_0_100000.sealed" : "_0_100000";
  for (uint64_t id : {3, 4}) {
    EXPECT_TRUE(fs::exists(dir.path() / kStagedUuid / "damaged" / (std::to_string(id) + ending))) << id;
    EXPECT_FALSE(fs::exists(second.file({id, 0, 100'000}))) << id;
  }
  EXPECT_EQ(second.value("staging_block_errors"), 2);
  Stage third = open(dir.path(), store);
  EXPECT_EQ(third.staging.usage().blocks, 0u);
}

TEST_P(StagingTest, RemovedWhileItWaits) {
  TempDir dir;
  FakeStore store;
  Stage s = open(dir.path(), store, later());
  ASSERT_TRUE(s.add({1, 0, 1000}));
  EXPECT_TRUE(s.staging.remove({1, 0, 1000}));
  EXPECT_FALSE(s.staging.holds({1, 0, 1000}));
  EXPECT_FALSE(fs::exists(s.file({1, 0, 1000})));
  EXPECT_FALSE(s.cache.contains({1, 0, 1000}));
  EXPECT_FALSE(s.staging.remove({1, 0, 1000}));
  EXPECT_TRUE(s.staging.drain({}));
  EXPECT_EQ(store.tries, 0);
}

TEST_P(StagingTest, RemovedWhileItIsUploaded) {
  TempDir dir;
  FakeStore store;
  store.hold(true);
  Stage s = open(dir.path(), store);
  ASSERT_TRUE(s.add({1, 0, 1000}));
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(store.mutex);
    return store.tries == 1;
  }));
  EXPECT_TRUE(s.staging.remove({1, 0, 1000}));
  EXPECT_FALSE(s.staging.holds({1, 0, 1000}));
  store.hold(false);
  s.staging.stop();
  EXPECT_EQ(store.order.size(), 1u);
  EXPECT_EQ(store.size(), 0u);
  EXPECT_EQ(s.staging.usage().bytes, 0u);
}

// JuiceFS's staged blocks, of a volume without compression and of one with: both are plain.
TEST(Staging, BlocksThatJuiceFSHasStaged) {
  for (const char* name : {"small-writeback", "small-writeback-lz4"}) {
    CIDER_FIXTURE(fixture, name);
    TempDir dir;
    fs::copy(fixture / "cache-dir", dir.path(), fs::copy_options::recursive);
    std::string uuid;
    for (const auto& entry : fs::directory_iterator(dir.path())) uuid = entry.path().filename();
    std::map<BlockName, std::string> expected;
    for (const auto& entry : fs::recursive_directory_iterator(dir.path() / uuid / "rawstaging")) {
      if (auto block = parse_block_name(entry.path().filename().string()))
        expected[*block] = read_file(entry.path()).substr(0, block->bytes);
    }
    ASSERT_GE(expected.size(), 4u);
    FakeStore store;
    Stage s(dir.path(), store, at_once(), true, uuid);
    EXPECT_TRUE(s.staging.drain({}));
    EXPECT_EQ(store.objects, expected);
    EXPECT_EQ(s.value("staging_block_errors"), 0);
  }
}

// What we stage has the bytes of what JuiceFS stages.
TEST(Staging, FilesAreThoseOfJuiceFS) {
  CIDER_FIXTURE(fixture, "small-writeback");
  TempDir dir;
  FakeStore store;
  Stage s(dir.path(), store, later());
  const fs::path theirs = fixture / "cache-dir" / kStagedUuid / "rawstaging/chunks/0/0";
  for (const auto& entry : fs::directory_iterator(theirs)) {
    const auto block = parse_block_name(entry.path().filename().string());
    ASSERT_TRUE(block);
    const std::string stored = read_file(entry.path());
    ASSERT_TRUE(s.staging.add(*block, chain_of(stored.substr(0, block->bytes))));
    EXPECT_EQ(read_file(s.file(*block)), stored);
  }
}

// A process that is killed at any moment: whatever it said was staged is found whole.
TEST_P(StagingTest, KillAtAnyMoment) {
  for (int round = 0; round < 20; round++) {
    TempDir dir;
    FakeStore store;
    const uint64_t acknowledged = staged_until_killed(
        static_cast<uint64_t>(round), [&] { return open(dir.path(), store, later()); }, [](Stage&) {});
    Stage next = open(dir.path(), store);
    ASSERT_TRUE(next.staging.drain({}));
    for (uint64_t id = 1; id <= acknowledged; id++)
      EXPECT_EQ((store.objects[{id, 0, 50'000}]), pattern(50'000, id));
    EXPECT_LE(store.size(), acknowledged + 1);
    EXPECT_EQ(next.value("staging_block_errors"), 0);
  }
}

TEST_P(StagingTest, ManyWritersReadersAndRemovers) {
  TempDir dir;
  FakeStore store;
  Stage s = open(dir.path(), store);
  write_read_and_remove_many(s, store, 50);
}

bool on_disk(const fs::path& folder, std::string_view text) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && read_file(entry.path()).find(text) != std::string::npos) return true;
  }
  return false;
}

TEST_P(StagingTest, OnlyPlainFilesShowTheirText) {
  TempDir dir;
  FakeStore store;
  Stage s = open(dir.path(), store, later());
  std::string text;
  while (text.size() < 90'000) text += "what nobody shall read ";
  ASSERT_TRUE(s.staging.add({1, 0, static_cast<uint32_t>(text.size())}, chain_of(text)));
  EXPECT_EQ(on_disk(dir.path(), "nobody shall"), GetParam() == BlockForm::plain);
}

// Whatever a mount writes itself, it uploads what those of the other kind have left.
TEST_P(StagingTest, BlocksOfTheOtherFormAreReadAndUploaded) {
  const BlockForm other = GetParam() == BlockForm::plain ? BlockForm::sealed : BlockForm::plain;
  TempDir dir;
  FakeStore store;
  {
    Stage first(dir.path(), store, later(), true, kStagedUuid, other);
    for (uint64_t id = 1; id <= 3; id++) ASSERT_TRUE(first.add({id, 0, 100'000}));
  }
  Stage second = open(dir.path(), store, later());
  EXPECT_EQ(second.staging.usage().blocks, 3u);
  std::string out(1000, '\0');
  auto read = second.staging.read({3, 0, 100'000}, 40'000, std::as_writable_bytes(std::span(out)));
  ASSERT_TRUE(read);
  EXPECT_TRUE(*read);
  EXPECT_EQ(out, pattern(100'000, 3).substr(40'000, 1000));
  EXPECT_TRUE(second.staging.remove({2, 0, 100'000}));
  ASSERT_TRUE(second.staging.drain({}));
  EXPECT_EQ(store.size(), 2u);
  EXPECT_EQ((store.objects[{1, 0, 100'000}]), pattern(100'000, 1));
  Stage third(dir.path(), store, later(), true, kStagedUuid, other);
  EXPECT_EQ(third.staging.usage().blocks, 0u);
}

// One and the same block, staged once by a mount of each kind: the newer file counts, the older one goes.
TEST_P(StagingTest, OfBothFormsTheNewerCounts) {
  const BlockForm other = GetParam() == BlockForm::plain ? BlockForm::sealed : BlockForm::plain;
  const BlockName block{1, 0, 1000};
  for (bool restart : {false, true}) {
    TempDir dir;
    FakeStore store;
    std::optional<Stage> first;
    first.emplace(dir.path(), store, later(), true, kStagedUuid, other);
    ASSERT_TRUE(first->add(block));
    const fs::path older = first->file(block);
    first.reset();
    // Within one tick of the kernel's clock both would be of the same time.
    fs::last_write_time(older, fs::last_write_time(older) - std::chrono::seconds(1));
    {
      // Recovered or, while the other's file is out of sight, not.
      if (restart) fs::rename(older, dir.path() / "away");
      Stage second = open(dir.path(), store, later());
      ASSERT_TRUE(second.staging.add(block, chain_of(pattern(1000, 77))));
      EXPECT_TRUE(fs::exists(second.file(block)));
      if (restart) fs::rename(dir.path() / "away", older);
      EXPECT_EQ(fs::exists(older), restart);
    }
    Stage third(dir.path(), store, later(), true, kStagedUuid, other);
    EXPECT_FALSE(fs::exists(older));
    EXPECT_EQ(third.staging.usage().blocks, 1u);
    ASSERT_TRUE(third.staging.drain({}));
    EXPECT_EQ(store.objects[block], pattern(1000, 77));
  }
}

}  // namespace
}  // namespace cider::chunk
