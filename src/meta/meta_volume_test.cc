// Limits, usage, directory statistics, listings; clients that may not write.
#include <set>
#include <thread>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

using testing::kUnit;

CIDER_META_TEST(VolumeTest);

TEST_P(VolumeTest, CapacityIsALimit) {
  make({.capacity = 16 * 4096});
  Ino file = mkfile("f");
  EXPECT_EQ(code_of(a().truncate(Caller{}, file, 16 * 4096, true, false)), 0);
  EXPECT_EQ(code_of(a().truncate(Caller{}, file, 16 * 4096 + 1, true, false)), ENOSPC);
  EXPECT_EQ(code_of(a().fallocate(Caller{}, file, 0, 0, 17 * 4096)), ENOSPC);
  EXPECT_EQ(code_of(volume_->data().write(a(), file, 16 * 4096, kUnit, 1, clock().now())), ENOSPC);
  EXPECT_EQ(code_of(volume_->data().write(a(), file, 0, kUnit, 1, clock().now())), 0) << "no growth";
  EXPECT_TRUE(a().store().sync());  // some engines sum usage up in the client, for a second
  EXPECT_EQ(code_of(b().mknod(Caller{}, kRootIno, "g", NewNode{})), ENOSPC);
  EXPECT_EQ(code_of(b().tmpfile(Caller{}, kRootIno, 0600)), ENOSPC);
  EXPECT_EQ(code_of(a().link(Caller{}, file, kRootIno, "l")), 0) << "a link takes no room";
  EXPECT_EQ(code_of(a().truncate(Caller{}, file, 4096, true, false)), 0);
  Ino other = mkfile("g");
  EXPECT_EQ(code_of(a().copy_range(Caller{}, file, 0, other, 20 * 4096, 4096)), ENOSPC);
  VolumeUsage usage = a().usage().value();
  EXPECT_EQ(usage.total_space, 16u * 4096);
  EXPECT_EQ(usage.available_space, 14u * 4096);
  EXPECT_EQ(usage.used_inodes, 2u);
}

TEST_P(VolumeTest, InodesAreALimit) {
  make({.inodes = 3});
  mkfile("a");
  mkdir("b");
  mkfile("c");
  EXPECT_EQ(code_of(a().mknod(Caller{}, kRootIno, "d", NewNode{})), ENOSPC);
  EXPECT_EQ(rename(kRootIno, "c", kRootIno, "d", kRenameWhiteout), ENOSPC);
  EXPECT_TRUE(a().unlink(Caller{}, kRootIno, "a"));
  EXPECT_EQ(code_of(a().mknod(Caller{}, kRootIno, "d", NewNode{})), 0);
  EXPECT_EQ(a().usage().value().available_inodes, 0u);
}

TEST_P(VolumeTest, StatisticsFollowEveryChange) {
  make();
  Ino one = mkdir("one"), two = mkdir("two");
  EXPECT_EQ(volume_->dump().dir_stats.at(kRootIno), (DirStat{0, 8192, 2}));
  Ino file = mkfile("f", one);
  write(file, 0, 10 * kUnit, 1);
  ASSERT_TRUE(a().link(Caller{}, file, two, "g"));
  write(file, 20 * kUnit, kUnit, 1);  // grows in both directories
  auto stats = volume_->dump().dir_stats;
  DirStat want{21 * kUnit, 12288, 1};
  EXPECT_EQ(stats.at(one), want);
  EXPECT_EQ(stats.at(two), want);
  EXPECT_EQ(rename(one, "f", two, "h"), 0);
  EXPECT_EQ(volume_->dump().dir_stats.at(one), DirStat{});
  EXPECT_TRUE(a().unlink(Caller{}, two, "g"));
  EXPECT_TRUE(a().truncate(Caller{}, file, 0, true, false));
  EXPECT_EQ(volume_->dump().dir_stats.at(two), (DirStat{0, 4096, 1}));
}

TEST_P(VolumeTest, ListingsShowWhatStaysExactlyOnce) {
  make();
  Ino dir = mkdir("d");
  std::set<std::string> stays;
  for (int i = 0; i < 60; ++i) {
    std::string name = "stays" + std::to_string(i);
    mkfile(name, dir);
    stays.insert(name);
    mkfile("goes" + std::to_string(i), dir);
  }
  DirCursor cursor;
  std::multiset<std::string> seen;
  for (int page = 0; !cursor.at_end; ++page) {
    ASSERT_LT(page, 100) << "a listing must end although names are added";
    auto entries = b().list_dir(dir, &cursor, 3, true);
    ASSERT_TRUE(entries);
    for (const ListedEntry& e : *entries) {
      seen.insert(e.name);
      EXPECT_TRUE(e.attr || !stays.contains(e.name)) << e.name;
    }
    mkfile("new" + std::to_string(page), dir);
    mkfile("zzz" + std::to_string(page), dir);
    (void)a().unlink(Caller{}, dir, "goes" + std::to_string(page));
    EXPECT_EQ(rename(dir, "stays7", dir, "stays7"), 0);
    mkfile("over", dir);
    EXPECT_EQ(rename(dir, "over", dir, "stays8"), 0) << "replaced, so its name stays";
  }
  for (const std::string& name : stays) EXPECT_EQ(seen.count(name), 1u) << name;
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
}

TEST_P(VolumeTest, ListingsEndInARenameStorm) {
  make();
  Ino dir = mkdir("d");
  for (int i = 0; i < 50; ++i) mkfile("f" + std::to_string(i), dir);
  std::atomic<bool> stop{false};
  std::jthread storm([&] {
    for (int i = 0; !stop; ++i) {
      std::string name = "f" + std::to_string(i % 50), away = "z" + std::to_string(i % 50);
      (void)b().rename(Caller{}, dir, name, dir, away, 0);
      (void)b().rename(Caller{}, dir, away, dir, name, 0);
    }
  });
  for (int i = 0; i < 20; ++i) {
    std::vector<std::string> names = list(dir, 4);
    EXPECT_LE(names.size(), 101u);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  }
  stop = true;
}

TEST_P(VolumeTest, ReadOnlyClientsOnlyRead) {
  make();
  Ino file = mkfile("f");
  MetaOptions options;
  options.read_only = true;
  Meta& reader = volume_->add_client(options);
  EXPECT_EQ(reader.session_id(), 0u);
  EXPECT_TRUE(reader.lookup(Caller{}, kRootIno, "f"));
  EXPECT_EQ(code_of(reader.open(Caller{}, file, 0)), 0);
  EXPECT_EQ(code_of(reader.open(Caller{}, file, 2)), EROFS);
  EXPECT_EQ(code_of(reader.mknod(Caller{}, kRootIno, "x", NewNode{})), EROFS);
  EXPECT_EQ(code_of(reader.unlink(Caller{}, kRootIno, "f")), EROFS);
  EXPECT_EQ(code_of(reader.setattr(Caller{}, file, {.mode = 0})), EROFS);
  EXPECT_EQ(code_of(reader.truncate(Caller{}, file, 0, true, false)), EROFS);
  Status answer;
  reader.flock(Caller{}, file, 1, LockKind::read, false, [&](Status s) { answer = s; });
  EXPECT_EQ(code_of(answer), EROFS);
  reader.close(file);
}

TEST_P(VolumeTest, ADirectoryTimeInTheFutureGivesWay) {
  testing::VolumeSetup setup;
  setup.options.skip_dir_mtime = std::chrono::milliseconds(100);
  make(setup);
  Ino dir = mkdir("d");
  Attr before = attr(dir);
  mkfile("recent", dir);
  EXPECT_EQ(attr(dir).mtime, before.mtime) << "skipped, as asked";
  ASSERT_TRUE(a().setattr(Caller{}, dir, {.mtime = Time{clock().now().sec + 1'000'000, 0}}));
  clock().advance(1);
  mkfile("now", dir);
  EXPECT_LE(attr(dir).mtime, clock().now());
}

TEST_P(VolumeTest, InterruptedCallersGiveUp) {
  make();
  std::stop_source interrupt;
  interrupt.request_stop();
  Caller caller;
  caller.interrupt = interrupt.get_token();
  EXPECT_EQ(code_of(a().mknod(caller, kRootIno, "x", NewNode{})), EINTR);
  EXPECT_EQ(code_of(a().lookup(Caller{}, kRootIno, "x")), ENOENT);
}

TEST(VolumeFormat, IsRefusedTwiceAndLoadsAgain) {
  MemoryStore store;
  EXPECT_EQ(code_of(load_volume(store)), ENOENT);
  Volume volume;
  volume.name = "some";
  volume.storage = "mem";
  ASSERT_TRUE(format_volume(store, &volume));
  EXPECT_EQ(code_of(format_volume(store, &volume)), EEXIST);
  EXPECT_EQ(load_volume(store).value().uuid, volume.uuid);
  ASSERT_TRUE(store.destroy_volume());
  EXPECT_EQ(code_of(load_volume(store)), ENOENT);
}

// As by a restored backup: others hold, and have used, numbers that the counter gives out again.
TEST_P(VolumeTest, CountersThatWereRolledBackHarmNobody) {
  make({.trash_days = 1});
  const auto roll_back = [&](Counter counter, int64_t to) {
    int64_t now = a().store().counter(counter).value();
    ASSERT_TRUE(a().store().add_counter(counter, to - now));
  };
  std::set<Ino> inodes;
  const auto unique = [&](const Result<Node>& node) {
    ASSERT_TRUE(node) << code_of(node) << " " << node.error().to_string();
    EXPECT_TRUE(inodes.insert(node->ino).second) << node->ino;
  };
  for (int i = 0; i < 5; ++i) unique(a().mknod(Caller{}, kRootIno, "a" + std::to_string(i), NewNode{}));
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "a0"));
  roll_back(Counter::next_inode, 2);
  unique(b().mknod(Caller{}, kRootIno, "b0", NewNode{}));
  for (int i = 1; i < 5; ++i) unique(b().mknod(Caller{}, kRootIno, "b" + std::to_string(i), NewNode{}));
  bool created = false;
  auto file = a().create(Caller{}, kRootIno, "a5", 0644, true, &created);
  unique(file);
  EXPECT_TRUE(created);
  a().close(file->ino);
  roll_back(Counter::next_inode, 2);
  Meta& c = volume_->add_client({.background_jobs = false, .max_deletes = 1});
  auto tmp = c.tmpfile(Caller{}, kRootIno, 0600);
  unique(tmp);
  roll_back(Counter::next_inode, 2);
  Meta& d = volume_->add_client({.background_jobs = false, .max_deletes = 1});
  ASSERT_TRUE(d.rename(Caller{}, kRootIno, "a1", kRootIno, "renamed", kRenameWhiteout));
  unique(d.lookup(Caller{}, kRootIno, "a1"));
  c.close(tmp->ino);  // a number that is free again may be given out again

  roll_back(Counter::next_trash, 0);
  clock().advance(7200);
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "a2"));
  EXPECT_EQ(list(kTrashIno).size(), 2u);

  write(file->ino, 0, testing::kUnit, 1);
  uint64_t used = a().chunk(file->ino, 0)->front().id;
  ChunkSlice twice{0, {testing::kUnit, used, testing::kUnit, 0, testing::kUnit}};
  roll_back(Counter::next_chunk, 1);
  EXPECT_EQ(code_of(b().write(file->ino, std::span(&twice, 1), clock().now())), EEXIST);
  EXPECT_GT(b().next_slice_id().value(), used);
}

}  // namespace
}  // namespace cider::meta
