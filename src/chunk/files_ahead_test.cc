// Reading ahead over files: who is followed, how far, and that what was fetched ahead is what is read.
#include "chunk/files_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "chunk/testing/harness.h"

namespace cider::chunk::testing {
namespace {

using object::testing::FaultyStore;

uint64_t files(const std::optional<InodeRuns::Range>& range) {
  return range ? range->end - range->begin : 0;
}

TEST(InodeRuns, FollowsWhoGoesInOrderAndAsksForMoreEachTime) {
  InodeRuns runs;
  EXPECT_FALSE(runs.on_read(100));
  EXPECT_FALSE(runs.on_read(101));
  const auto first = runs.on_read(102);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->begin, 103U);
  EXPECT_EQ(first->end, 111U);
  uint64_t asked = first->end;
  uint64_t largest = 0;
  for (Ino ino = 103; ino < 1000; ++ino) {
    EXPECT_GT(asked, ino) << "it fell behind";
    const auto range = runs.on_read(ino);
    if (!range) continue;
    EXPECT_EQ(range->begin, asked) << "each file is asked for once";
    asked = range->end;
    largest = std::max(largest, files(range));
  }
  EXPECT_LE(largest, InodeRuns::kLastWindow);
  EXPECT_GE(largest, InodeRuns::kLastWindow / 2);
  EXPECT_LE(asked, 1000 + InodeRuns::kLastWindow + 1);
}

TEST(InodeRuns, IgnoresReadsAtRandomAndTheSameFileAgain) {
  InodeRuns runs;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(runs.on_read(50));
  for (Ino ino = 1; ino < 2000; ++ino) EXPECT_FALSE(runs.on_read(ino * 7919 % 100'003 * 20));
}

TEST(InodeRuns, FollowsThreadsThatOvertakeEachOther) {
  InodeRuns runs;
  uint64_t asked = 0;
  for (Ino ino = 100; ino < 200; ino += 4) {
    for (const Ino next : {ino + 2, ino, ino + 3, ino + 1}) asked += files(runs.on_read(next));
  }
  EXPECT_GE(asked, 100U);
  EXPECT_LE(asked, 100 + InodeRuns::kLastWindow + 1);
}

TEST(InodeRuns, FollowsSeveralAtOnce) {
  InodeRuns runs;
  for (Ino i = 0; i < 50; ++i) {
    for (Ino reader = 1; reader <= InodeRuns::kMax; ++reader) {
      const auto range = runs.on_read(reader * 1000 + i);
      EXPECT_EQ(range ? range->begin / 1000 : reader, reader);
      EXPECT_TRUE(range || i != 2) << reader;
    }
  }
}

TEST(InodeRuns, GoesOnWhereAnAnswerWasCut) {
  InodeRuns runs;
  runs.on_read(1);
  runs.on_read(2);
  const auto range = runs.on_read(3);
  ASSERT_TRUE(range);
  runs.cut(*range, 6);
  const auto next = runs.on_read(4);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->begin, 6U);
}

constexpr uint32_t kFile = 10 << 10;

class FilesAheadTest : public ::testing::Test {
 protected:
  // Files first, first + 1 ... of pattern(kFile, ino), each in an object of its own.
  void write_files(Ino first, int count) {
    for (Ino ino = first; ino < first + static_cast<Ino>(count); ++ino) {
      ASSERT_TRUE(h.write(ino, 0, pattern(kFile, ino)));
      ASSERT_TRUE(h.data.flush(ino, {}));
    }
  }
  void expect_read(Ino ino) {
    const auto bytes = h.read(ino, 0, kFile);
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    EXPECT_TRUE(*bytes == pattern(kFile, ino)) << "inode " << ino;
  }
  void forbid_gets() {
    h.store.set_rule([](const FaultyStore::Call& call) {
      return FaultyStore::Verdict{.code = call.op == FaultyStore::Op::get ? EACCES : 0};
    });
  }
  int gets() { return h.store.calls(FaultyStore::Op::get); }
  int gets_of(const std::string& key) {
    std::lock_guard lock(mutex_);
    return static_cast<int>(std::ranges::count(keys_, key));
  }
  void SetUp() override {
    h.store.set_rule([this](const FaultyStore::Call& call) {
      std::lock_guard lock(mutex_);
      if (call.op == FaultyStore::Op::get) keys_.emplace_back(call.key);
      return FaultyStore::Verdict{};
    });
  }

  std::mutex mutex_;
  std::vector<std::string> keys_;
  Harness h;
};

TEST_F(FilesAheadTest, WhatFollowsIsThereBeforeItIsRead) {
  write_files(1, 20);
  for (const Ino ino : {1, 2, 3}) expect_read(ino);
  const int expected = 3 + static_cast<int>(InodeRuns::kFirstWindow);
  ASSERT_TRUE(eventually([&] { return gets() >= expected; }));
  EXPECT_EQ(gets(), expected);
  EXPECT_EQ(h.catalog.asked_ahead().size(), 1U) << "one question for all of them";
  forbid_gets();
  for (Ino ino = 4; ino < 4 + InodeRuns::kFirstWindow; ++ino) expect_read(ino);
}

TEST_F(FilesAheadTest, LargeFilesAreLeftAlone) {
  for (const Ino ino : {1, 2, 3, 4, 5}) {
    ASSERT_TRUE(h.write(ino, 0, pattern(100 << 10, ino)));  // blocks are of 64 KiB
    ASSERT_TRUE(h.data.flush(ino, {}));
  }
  for (const Ino ino : {1, 2, 3, 4, 5}) ASSERT_TRUE(h.read(ino, 0, kFile));
  EXPECT_TRUE(h.catalog.asked_ahead().empty());
}

// Its neighbours are small, and read in order.
TEST_F(FilesAheadTest, AFileOfManyRecordsIsLeftAlone) {
  write_files(1, 4);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(h.write(5, static_cast<uint64_t>(i) * kFile, pattern(kFile, 5)));
    ASSERT_TRUE(h.data.flush(5, {}));
  }
  write_files(6, 1);
  for (const Ino ino : {1, 2, 3}) expect_read(ino);
  ASSERT_TRUE(eventually([&] { return gets() >= 3 + 2; }));
  EXPECT_EQ(gets(), 3 + 2) << "inodes 4 and 6";
}

TEST(FilesAhead, OffWithoutReadAhead) {
  HarnessOptions options;
  options.data.max_readahead = 0;
  Harness h(std::move(options));
  for (const Ino ino : {1, 2, 3, 4, 5}) {
    ASSERT_TRUE(h.write(ino, 0, "x"));
    ASSERT_TRUE(h.data.flush(ino, {}));
    ASSERT_TRUE(h.read(ino, 0, 1));
  }
  EXPECT_TRUE(h.catalog.asked_ahead().empty());
}

TEST(FilesAhead, NoMoreBytesAtOnceThanReadAheadMayTake) {
  HarnessOptions options;
  options.data.max_readahead = 8 * kFile;  // half of it for one question
  Harness h(std::move(options));
  for (Ino ino = 1; ino <= 20; ++ino) {
    ASSERT_TRUE(h.write(ino, 0, pattern(kFile, ino)));
    ASSERT_TRUE(h.data.flush(ino, {}));
  }
  for (const Ino ino : {1, 2, 3}) ASSERT_TRUE(h.read(ino, 0, kFile));
  ASSERT_TRUE(eventually([&] { return h.store.calls(FaultyStore::Op::get) >= 7; }));
  EXPECT_EQ(h.store.calls(FaultyStore::Op::get), 3 + 4);
  ASSERT_TRUE(h.read(4, 0, kFile));
  ASSERT_TRUE(eventually([&] { return h.catalog.asked_ahead().size() == 2; }));
  EXPECT_EQ(h.catalog.asked_ahead()[1].front(), 8U) << "it goes on where it was cut";
}

// A pack comes whole, in one request, for all of its members.
TEST_F(FilesAheadTest, PacksComeOnce) {
  constexpr Ino kMembers = 6;
  for (const Ino pack : {0, 1}) {
    const Ino whole = 1000 + pack;
    ASSERT_TRUE(h.write(whole, 0, pattern(kMembers * kFile, whole)));
    ASSERT_TRUE(h.data.flush(whole, {}));
    Slice record = h.catalog.slices(whole, 0, true).value().front();
    record.len = kFile;
    for (Ino i = 0; i < kMembers; ++i, record.off += kFile) {
      const Ino ino = 1 + pack * kMembers + i;
      h.catalog.truncate(ino, kFile);
      h.catalog.set_slices(ino, 0, {record});
    }
  }
  for (Ino ino = 1; ino <= 4; ++ino) ASSERT_TRUE(h.read(ino, 0, kFile));
  const std::string second = "chunks/0/0/2_0_" + std::to_string(kMembers * kFile);
  ASSERT_TRUE(eventually([&] { return gets_of(second) > 0; }));
  EXPECT_EQ(gets_of(second), 1);
  forbid_gets();
  for (Ino i = 0; i < kMembers; ++i) {
    const auto bytes = h.read(1 + kMembers + i, 0, kFile);
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    EXPECT_TRUE(*bytes == pattern(kMembers * kFile, 1001).substr(i * kFile, kFile)) << i;
  }
}

}  // namespace
}  // namespace cider::chunk::testing
