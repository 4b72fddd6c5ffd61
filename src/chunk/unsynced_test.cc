#include "chunk/unsynced.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <set>
#include <thread>

namespace cider::chunk {
namespace {

using Refs = std::span<const BlockStore::SliceRef>;

// A sync that waits for go(), and fails for the slices of `bad`.
class Disk {
 public:
  UnsyncedSlices::Sync sync() {
    return [this](Refs slices) -> Status {
      calls++;
      if (waits) {
        waiting.store(true);
        waiting.notify_all();
        gate.wait(false);
      }
      std::lock_guard lock(mutex);
      bool failed = false;
      for (const auto& slice : slices) {
        if (bad.contains(slice.id))
          failed = true;
        else
          synced.insert(slice.id);
      }
      if (failed) return fail(EIO);
      return {};
    };
  }
  void go() {
    gate.store(true);
    gate.notify_all();
  }
  bool has(uint64_t id) {
    std::lock_guard lock(mutex);
    return synced.contains(id);
  }

  std::atomic<int> calls{0};
  std::atomic<bool> waits{false};
  std::atomic<bool> waiting{false};
  std::atomic<bool> gate{false};
  std::mutex mutex;
  std::set<uint64_t> bad;
  std::set<uint64_t> synced;
};

// Slices 1 and 2 of inode 7 are too many, and are being synced by a disk that waits for go().
struct OverflowUnderWay {
  explicit OverflowUnderWay(std::set<uint64_t> bad = {}) {
    disk.bad = std::move(bad);
    disk.waits = true;
    unsynced.add(7, {{1, 10}, {2, 10}});
    overflow = std::jthread([this] { unsynced.sync_overflow(); });
    disk.waiting.wait(false);
  }

  Disk disk;
  UnsyncedSlices unsynced{disk.sync(), 1};
  std::jthread overflow;
};

TEST(UnsyncedSlices, AnFsyncWaitsForTheOverflowOfItsInode) {
  OverflowUnderWay under_way;
  Disk& disk = under_way.disk;
  UnsyncedSlices& unsynced = under_way.unsynced;
  std::atomic<bool> began{false};
  bool durable = false;
  std::jthread fsync([&] {
    began = true;
    began.notify_all();
    EXPECT_TRUE(unsynced.sync(7, {}));
    durable = disk.has(1) && disk.has(2);
  });
  began.wait(false);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  disk.go();
  fsync.join();
  EXPECT_TRUE(durable);
}

TEST(UnsyncedSlices, AnFsyncLearnsThatTheOverflowOfItsInodeHasFailed) {
  OverflowUnderWay under_way({2});
  Disk& disk = under_way.disk;
  UnsyncedSlices& unsynced = under_way.unsynced;
  std::atomic<int> answer{-1};
  std::jthread fsync([&] { answer = code_of(unsynced.sync(7, {})); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  disk.go();
  fsync.join();
  EXPECT_EQ(answer, EIO);
  EXPECT_EQ(code_of(unsynced.sync(7, {})), EIO);  // and again
}

TEST(UnsyncedSlices, AWaitingFsyncCanBeInterrupted) {
  OverflowUnderWay under_way;
  Disk& disk = under_way.disk;
  UnsyncedSlices& unsynced = under_way.unsynced;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of(unsynced.sync(7, stop.get_token())), EINTR);
  disk.go();
}

TEST(UnsyncedSlices, TheOldestInodesAreSyncedWhileThereAreTooMany) {
  Disk disk;
  UnsyncedSlices unsynced(disk.sync(), 3);
  unsynced.add(1, {{1, 10}});
  unsynced.add(2, {{2, 10}, {3, 10}});
  unsynced.sync_overflow();
  EXPECT_EQ(disk.calls, 0);
  unsynced.add(3, {{4, 10}, {5, 10}});
  unsynced.add(1, {{6, 10}});
  unsynced.sync_overflow();
  EXPECT_EQ(disk.synced, (std::set<uint64_t>{1, 2, 3, 6})) << "more than needed, or not the oldest";
}

TEST(UnsyncedSlices, OneInodesFailureIsNotAnothers) {
  Disk disk;
  disk.bad = {1};
  UnsyncedSlices unsynced(disk.sync());
  unsynced.add(1, {{1, 10}});
  unsynced.add(2, {{2, 10}});
  EXPECT_TRUE(unsynced.sync_with([] { return Status(); }));
  EXPECT_TRUE(disk.has(2));
  const int calls = disk.calls;
  EXPECT_TRUE(unsynced.sync(2, {}));
  EXPECT_EQ(disk.calls, calls);
  EXPECT_EQ(code_of(unsynced.sync(1, {})), EIO);
}

TEST(UnsyncedSlices, WhoAddsWhileMetadataIsSyncedMustSyncFirst) {
  Disk disk;
  UnsyncedSlices unsynced(disk.sync());
  EXPECT_FALSE(unsynced.add(1, {{1, 10}}));
  EXPECT_EQ(code_of(unsynced.sync_with([&]() -> Status {
              EXPECT_TRUE(disk.has(1));
              EXPECT_TRUE(unsynced.add(1, {{2, 10}}));
              return fail(ENOSPC);
            })),
            ENOSPC);
  EXPECT_FALSE(unsynced.add(1, {{3, 10}}));
}

}  // namespace
}  // namespace cider::chunk
