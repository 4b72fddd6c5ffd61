#include "meta/store/pending_usage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace cider::meta {
namespace {

UsageRead usage(const PendingUsage& pending) {
  ReadItem item = UsageRead{100, 10};
  pending.complete(&item);
  return std::get<UsageRead>(item);
}

std::optional<DirStat> stat(const PendingUsage& pending, Ino ino, std::optional<DirStat> stored) {
  ReadItem item = DirStatRead{ino, stored};
  pending.complete(&item);
  return std::get<DirStatRead>(item).stat;
}

TEST(PendingUsage, IsSummedAndWrittenOnce) {
  std::vector<UsageSums> written;
  PendingUsage* self = nullptr;
  PendingUsage pending([&](const UsageSums& sums, std::stop_token) -> Status {
    written.push_back(sums);
    self->counted({sums.space, sums.inodes});
    return {};
  });
  self = &pending;
  pending.add(AddUsage{4096, 1});
  pending.add(AddUsage{-1024, 2});
  pending.add(AddDirStat{7, {1, 2, 3}});
  pending.add(AddDirStat{7, {1, 1, 1}});
  pending.add(AddDirStat{8, {1, 1, 1}});
  pending.add(AddDirStat{8, {-1, -1, -1}});
  pending.add(DeleteNode{5});
  EXPECT_EQ(usage(pending).space, 100 + 3072);
  EXPECT_EQ(usage(pending).inodes, 13);
  EXPECT_EQ(stat(pending, 7, DirStat{1, 1, 1}), (DirStat{3, 4, 5}));
  EXPECT_EQ(stat(pending, 7, std::nullopt), std::nullopt);
  ASSERT_TRUE(pending.flush());
  ASSERT_TRUE(pending.flush());
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written[0].space, 3072);
  EXPECT_EQ(written[0].inodes, 3);
  EXPECT_EQ(written[0].dirs, (std::map<Ino, DirStat>{{7, {2, 3, 4}}}));
  EXPECT_EQ(usage(pending).inodes, 10);
}

TEST(PendingUsage, StaysPendingWhenItIsNotWritten) {
  bool refuse = true;
  PendingUsage* self = nullptr;
  PendingUsage pending([&](const UsageSums& sums, std::stop_token) -> Status {
    EXPECT_EQ(self->pending().inodes, 1) << "also while it is under way";
    EXPECT_EQ(stat(*self, 7, DirStat{}), (DirStat{1, 1, 1}));
    if (refuse) return fail(EIO);
    self->counted({sums.space, sums.inodes});
    return {};
  });
  self = &pending;
  pending.add(AddUsage{1, 1});
  pending.add(AddDirStat{7, {1, 1, 1}});
  EXPECT_EQ(code_of(pending.flush()), EIO);
  EXPECT_EQ(pending.pending().space, 1);
  EXPECT_EQ(stat(pending, 7, DirStat{}), (DirStat{1, 1, 1}));
  refuse = false;
  ASSERT_TRUE(pending.flush());
  EXPECT_EQ(pending.pending().space, 0);
  EXPECT_EQ(stat(pending, 7, DirStat{}), DirStat{});
}

// A commit may be counted before the client adds it up.
TEST(PendingUsage, KeepsWhatWasNotCounted) {
  PendingUsage* self = nullptr;
  PendingUsage pending([&](const UsageSums&, std::stop_token) -> Status {
    self->counted({5000, 4});
    return {};
  });
  self = &pending;
  pending.add(AddUsage{4096, 3});
  ASSERT_TRUE(pending.flush());
  EXPECT_EQ(pending.pending().space, -904);
  EXPECT_EQ(pending.pending().inodes, -1);
  pending.add(AddUsage{904, 1});
  EXPECT_EQ(pending.pending().space, 0);
  EXPECT_EQ(pending.pending().inodes, 0);
}

TEST(PendingUsage, OfADirectoryThatIsRemovedIsForgotten) {
  PendingUsage pending([](const UsageSums&, std::stop_token) { return Status{}; });
  pending.add(AddDirStat{7, {1, 1, 1}});
  pending.add(DeleteDirStat{7});
  EXPECT_EQ(stat(pending, 7, DirStat{}), DirStat{});
}

// Two threads: who has made the directory is slower than who has found it.
TEST(PendingUsage, OfADirectoryMayBeAddedBeforeItIsToldThatItWasMade) {
  PendingUsage pending([](const UsageSums&, std::stop_token) { return Status{}; });
  pending.add(AddDirStat{8, {1, 1, 1}});
  pending.add(CreateDirStat{8});
  EXPECT_EQ(stat(pending, 8, DirStat{}), (DirStat{1, 1, 1}));
}

TEST(PendingUsage, IsWrittenByAThreadMeanwhile) {
  std::atomic<int64_t> written{0};
  PendingUsage pending(
      [&](const UsageSums& sums, std::stop_token) -> Status {
        if (written == 0) written += sums.inodes;
        return {};
      },
      std::chrono::milliseconds(1));
  pending.start();
  pending.add(AddUsage{0, 3});
  while (written == 0) std::this_thread::yield();
  EXPECT_EQ(written, 3);
  pending.stop();
}

}  // namespace
}  // namespace cider::meta
