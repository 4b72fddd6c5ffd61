// write-commit, truncate, fallocate, copy_range, compact, seek, and the end of data.
#include <linux/falloc.h>

#include <thread>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

using testing::FakeData;
using testing::kUnit;

constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

CIDER_META_TEST(DataTest);

TEST_P(DataTest, WritesLieOverEachOther) {
  make();
  Ino file = mkfile("f");
  write(file, 0, 4 * kUnit, 10);
  write(file, kUnit, 2 * kUnit, 20);
  EXPECT_EQ(read(file), (FakeData::Units{{0, 10}, {1, 20}, {2, 21}, {3, 13}}));
  write(file, kChunkSize - kUnit, 2 * kUnit, 30);
  EXPECT_EQ(attr(file).length, kChunkSize + kUnit);
  EXPECT_EQ(read(file).at(kChunkSize / kUnit), 31u);
}

TEST_P(DataTest, WritesAreChecked) {
  make();
  Ino file = mkfile("f");
  auto commit = [&](Ino ino, ChunkSlice slice) {
    return code_of(a().write(ino, std::span(&slice, 1), clock().now()));
  };
  EXPECT_EQ(commit(4711, {0, {0, 900, 10, 0, 10}}), ENOENT);
  EXPECT_EQ(commit(mkdir("d"), {0, {0, 901, 10, 0, 10}}), EPERM);
  EXPECT_EQ(commit(file, {0, {0, 902, 10, 5, 10}}), EINVAL) << "beyond the slice";
  EXPECT_EQ(commit(file, {0, {static_cast<uint32_t>(kChunkSize) - 5, 903, 10, 0, 10}}), EINVAL)
      << "beyond the chunk";
  EXPECT_EQ(commit(file, {0, {0, 904, 10, 0, 0}}), EINVAL);
  EXPECT_EQ(commit(file, {1u << 31, {0, 905, 10, 0, 10}}), EFBIG);
}

TEST_P(DataTest, TheSameCommitTwiceCountsOnce) {
  make();
  Ino file = mkfile("f");
  ChunkSlice slice{0, {0, a().next_slice_id().value(), 4096, 0, 4096}};
  ASSERT_TRUE(a().write(file, std::span(&slice, 1), clock().now()));
  EXPECT_TRUE(a().write(file, std::span(&slice, 1), clock().now())) << "a retry after a lost answer";
  EXPECT_EQ(a().chunk(file, 0).value().size(), 1u);
  ChunkSlice other{0, {4096, slice.slice.id, 4096, 0, 4096}};
  EXPECT_EQ(code_of(a().write(file, std::span(&other, 1), clock().now())), EEXIST)
      << "an id that somebody else had";
  EXPECT_TRUE(a().truncate(Caller{}, file, 0, true, false));
  EXPECT_TRUE(a().unlink(Caller{}, kRootIno, "f"));
  volume_.reset();  // its slice was never written
}

TEST_P(DataTest, TruncateCutsAndLeavesHoles) {
  make();
  Ino file = mkfile("f");
  write(file, 0, 8 * kUnit, 10);
  write(file, kChunkSize, kUnit, 50);
  Attr before = attr(file);
  auto cut = a().truncate(Caller{}, file, 4 * kUnit, false, false);
  ASSERT_TRUE(cut);
  EXPECT_GT(cut->mtime, before.mtime);
  EXPECT_GT(cut->ctime, before.ctime);
  ASSERT_TRUE(a().truncate(Caller{}, file, 2 * kChunkSize, false, false));
  EXPECT_EQ(read(file), (FakeData::Units{{0, 10}, {1, 11}, {2, 12}, {3, 13}}))
      << "what was cut does not come back";
  EXPECT_EQ(code_of(a().truncate(Caller{}, mkdir("d"), 0, false, false)), EISDIR);
  EXPECT_EQ(
      code_of(a().truncate(Caller{}, made(a().mknod(Caller{}, kRootIno, "p", {FileType::fifo, 0644, 0, {}})),
                           0, false, false)),
      EINVAL);
  EXPECT_EQ(code_of(a().truncate(Caller{}, file, UINT64_MAX, false, false)), EFBIG);
  EXPECT_EQ(code_of(a().truncate(user(1, 1), file, 0, false, false)), EACCES);
  EXPECT_EQ(code_of(a().truncate(user(1, 1), file, 0, true, false)), 0);
}

// A client whose clock is behind the one that wrote last: who has the file's pages must see that they are
// old.
TEST_P(DataTest, AChangeWithALateClockShowsInTheTimes) {
  make();
  Ino file = mkfile("f");
  write(file, 0, 8 * kUnit, 10);
  clock().advance(-2);
  const auto shows = [&](auto change) {
    const Attr before = attr(file);
    ASSERT_TRUE(change());
    const Attr after = attr(file);
    EXPECT_GT(after.ctime, before.ctime);
    EXPECT_GE(after.mtime, before.mtime);
  };
  shows([&] { return a().fallocate(Caller{}, file, kPunch, kUnit, 2 * kUnit); });
  shows([&] { return a().truncate(Caller{}, file, 4 * kUnit, false, false); });
  shows([&] { return a().copy_range(Caller{}, file, 0, file, 2 * kUnit, kUnit); });
  shows([&] { return a().setattr(Caller{}, file, {.mode = uint16_t{0600}}); });
  const Attr before = attr(file);
  write(file, 0, kUnit, 20);
  EXPECT_GT(attr(file).ctime, before.ctime);
}

TEST_P(DataTest, FallocateGrowsPunchesAndZeroes) {
  make();
  Ino file = mkfile("f", kRootIno, 06777);
  write(file, 0, 8 * kUnit, 10);
  EXPECT_TRUE(a().fallocate(Caller{}, file, 0, 0, 10 * kUnit));
  EXPECT_EQ(attr(file).length, 10u * kUnit);
  EXPECT_TRUE(a().fallocate(Caller{}, file, FALLOC_FL_KEEP_SIZE, 0, 20 * kUnit));
  EXPECT_TRUE(a().fallocate(Caller{}, file, kPunch, kUnit, 2 * kUnit));
  EXPECT_TRUE(a().fallocate(Caller{}, file, kPunch, 100 * kUnit, kUnit)) << "beyond the end";
  EXPECT_EQ(attr(file).length, 10u * kUnit);
  EXPECT_TRUE(a().fallocate(Caller{}, file, FALLOC_FL_ZERO_RANGE, 7 * kUnit, 5 * kUnit));
  EXPECT_EQ(attr(file).length, 12u * kUnit);
  EXPECT_EQ(read(file), (FakeData::Units{{0, 10}, {3, 13}, {4, 14}, {5, 15}, {6, 16}}));
  EXPECT_EQ(attr(file).mode, 06777);
  EXPECT_TRUE(a().fallocate(user(1, 1), file, 0, 0, 1));
  EXPECT_EQ(attr(file).mode, 0777);
  auto refused = [&](int mode, uint64_t off, uint64_t len) {
    return code_of(a().fallocate(Caller{}, file, mode, off, len));
  };
  EXPECT_EQ(refused(FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
  EXPECT_EQ(refused(FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
  EXPECT_EQ(refused(0, 0, 0), EINVAL);
  EXPECT_EQ(refused(0, UINT64_MAX, 2), EFBIG);
  EXPECT_EQ(refused(0, 1ULL << 60, 2), EFBIG);
  EXPECT_EQ(code_of(a().fallocate(Caller{}, mkdir("d"), 0, 0, 1)), EISDIR);
  auto fifo = a().mknod(Caller{}, kRootIno, "p", {FileType::fifo, 0644, 0, {}});
  EXPECT_EQ(code_of(a().fallocate(Caller{}, fifo->ino, 0, 0, 1)), ESPIPE);
}

TEST_P(DataTest, CopiesShareSlices) {
  make();
  Ino in = mkfile("in"), out = mkfile("out");
  write(in, 0, 8 * kUnit, 10);
  auto copied = a().copy_range(Caller{}, in, 2 * kUnit, out, kChunkSize - kUnit, 100 * kUnit);
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied->bytes, 6u * kUnit);
  EXPECT_EQ(copied->out.length, kChunkSize + 5 * kUnit);
  uint64_t unit = kChunkSize / kUnit - 1;
  FakeData::Units want;
  for (uint64_t i = 0; i < 6; ++i) want[unit + i] = 12 + i;
  EXPECT_EQ(read(out), want);
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "in"));
  EXPECT_EQ(read(out), want) << "the copy lives on without its source";
  EXPECT_EQ(a().copy_range(Caller{}, out, kChunkSize + 5 * kUnit, mkfile("x"), 0, 10).value().bytes, 0u);
}

// So many records that several commits are needed to copy them, to compact them and to delete them.
TEST_P(DataTest, ManyRecordsAreCopiedAndDeletedInPortions) {
  make({.clients = 1});
  Ino in = mkfile("in"), out = mkfile("out");
  // MySQL's column holds 2730, and between those copied there are holes.
  const uint64_t records = testing::has_short_blobs(GetParam()) ? 1300 : 4100;
  for (uint64_t i = 0; i < records; ++i) write(in, i * 2 * kUnit, kUnit, i + 1);
  write(in, kChunkSize, 3 * kUnit, 9000);
  uint64_t length = attr(in).length;
  uint64_t copied = 0;
  int commits = 0;
  for (; copied < length; ++commits) {
    auto part = a().copy_range(Caller{}, in, copied, out, copied, length - copied);
    ASSERT_TRUE(part) << part.error().to_string();
    ASSERT_GT(part->bytes, 0u);
    copied += part->bytes;
    ASSERT_EQ(part->out.length, copied);
  }
  EXPECT_GT(commits, static_cast<int>(records / 1000));
  EXPECT_EQ(read(out), read(in));
  for (const std::string& problem : volume_->problems()) ADD_FAILURE() << problem;
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "out"));
  clock().advance(7200);
  ASSERT_TRUE(a().delete_files_now(1000));
  EXPECT_EQ(read(in).size(), records + 3) << "the source keeps its slices";
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "in"));
  volume_->stop();
  testing::VolumeDump dump = volume_->dump();
  EXPECT_TRUE(dump.chunks.empty());
  EXPECT_TRUE(dump.deleted_files.empty());
  EXPECT_EQ(volume_->data().alive(), 0u);
}

TEST_P(DataTest, CopiesAreChecked) {
  make();
  Ino file = mkfile("f"), dir = mkdir("d");
  write(file, 0, 4 * kUnit, 10);
  auto copy = [&](Ino in, uint64_t from, Ino out, uint64_t to, uint64_t len) {
    return code_of(a().copy_range(Caller{}, in, from, out, to, len));
  };
  EXPECT_EQ(copy(file, 0, file, kUnit, 2 * kUnit), EINVAL) << "overlap";
  EXPECT_EQ(copy(file, 0, file, 4 * kUnit, 100 * kUnit), 0)
      << "only what the source has is copied, so nothing overlaps";
  EXPECT_EQ(attr(file).length, 8u * kUnit);
  EXPECT_EQ(copy(file, 0, dir, 0, 1), EISDIR);
  EXPECT_EQ(copy(4711, 0, file, 0, 1), ENOENT);
  EXPECT_EQ(copy(file, 0, mkfile("g"), UINT64_MAX - 10, 100), EFBIG);
  EXPECT_EQ(copy(file, UINT64_MAX - 10, mkfile("h"), 0, 100), 0);
}

TEST_P(DataTest, CompactionKeepsTheBytes) {
  for (int trash_days : {0, 1}) {
    make({.trash_days = trash_days});
    Ino file = mkfile("f");
    for (int i = 0; i < 20; ++i) write(file, (i * 7 % 13) * kUnit, 3 * kUnit, 1000 + i * 10);
    ASSERT_TRUE(a().fallocate(Caller{}, file, kPunch, 4 * kUnit, kUnit));
    auto before = read(file);
    Attr attr_before = attr(file);
    ASSERT_TRUE(a().compact(file, 0, false));
    EXPECT_EQ(read(file), before);
    EXPECT_EQ(attr(file), attr_before);
    EXPECT_EQ(a().chunk(file, 0).value().size(), 1u);
    EXPECT_EQ(volume_->data().alive(), trash_days ? 21u : 1u) << "the trash keeps replaced slices";
    clock().advance(3 * 86400);
    EXPECT_TRUE(a().clean_delayed_slices(clock().now()));
    EXPECT_EQ(volume_->data().alive(), 1u);
    EXPECT_EQ(read(file), before);
    TearDown();
    volume_.reset();
  }
}

TEST_P(DataTest, CompactionLeavesLargeHeadsAlone) {
  make();
  Ino file = mkfile("f");
  write(file, 0, 2 << 20, 1);
  write(file, 3 << 20, 2 << 20, 10'000);
  for (int i = 0; i < 10; ++i) write(file, (8 << 20) + i * kUnit, 2 * kUnit, 100'000 + i * 10);
  auto before = read(file);
  std::vector<Slice> records = a().chunk(file, 0).value();
  ASSERT_TRUE(a().compact(file, 0, false));
  EXPECT_EQ(read(file), before);
  std::vector<Slice> after = a().chunk(file, 0).value();
  ASSERT_EQ(after.size(), 3u);
  EXPECT_EQ(after[0], records[0]);
  EXPECT_EQ(after[1], records[1]);
  write(file, kUnit, kUnit, 7);  // over the first: now it cannot stay as it is
  before = read(file);
  ASSERT_TRUE(a().compact(file, 0, false));
  EXPECT_EQ(read(file), before);
}

TEST_P(DataTest, CopyRacesWithCompaction) {
  make();
  Ino in = mkfile("in");
  std::atomic<bool> stop{false};
  std::jthread compactor([&] {
    while (!stop) (void)b().compact(in, 0, true);
  });
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 4; ++i) write(in, i * kUnit, 2 * kUnit, round * 100 + i * 10 + 1);
    Ino out = mkfile("out" + std::to_string(round));
    auto copied = a().copy_range(Caller{}, in, 0, out, 0, 5 * kUnit);
    ASSERT_TRUE(copied) << copied.error().to_string();
    EXPECT_EQ(read(out).size(), 5u);
  }
  stop = true;
  compactor.join();
  for (int round = 0; round < 40; ++round) {
    Ino out = a().lookup(Caller{}, kRootIno, "out" + std::to_string(round))->ino;
    EXPECT_EQ(read(out).at(0), round * 100u + 1) << "no copy lost its slices to a later compaction";
  }
}

TEST_P(DataTest, HolesAloneAreCompactedToo) {
  make();
  Ino file = mkfile("f");
  write(file, 0, 4 * kUnit, 10);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(a().fallocate(Caller{}, file, kPunch, i * kUnit, kUnit));
  ASSERT_EQ(a().chunk(file, 0)->size(), 5u);
  ASSERT_TRUE(a().compact(file, 0, false));
  EXPECT_EQ(a().chunk(file, 0)->size(), 1u);
  EXPECT_TRUE(read(file).empty());
  EXPECT_EQ(volume_->data().alive(), 0u) << "what the holes hide is given back";
  write(file, kUnit, kUnit, 20);
  EXPECT_EQ(read(file), (FakeData::Units{{1, 20}}));

  Ino large = mkfile("large");
  write(large, 0, 4 << 20, 1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(a().truncate(Caller{}, large, (5 + i) << 20, true, false));
  ASSERT_TRUE(a().compact(large, 0, false));
  EXPECT_EQ(read(large).size(), (4u << 20) / kUnit);
  EXPECT_LE(a().chunk(large, 0)->size(), 2u);
}

// JuiceFS may have dropped a slice whose record is still there.
TEST_P(DataTest, ASliceThatIsBeingDeletedIsNotCopied) {
  make();
  Ino in = mkfile("in"), out = mkfile("out");
  write(in, 0, kUnit, 1);
  const Slice slice = a().chunk(in, 0)->front();
  const auto add_refs = [&](int64_t delta) {
    ASSERT_TRUE(a().store().run(
        [&](Transaction& tx) -> Status {
          tx.write(AddSliceRef{slice.id, slice.size, delta});
          return {};
        },
        {}));
  };
  add_refs(-1);
  EXPECT_EQ(code_of(a().copy_range(Caller{}, in, 0, out, 0, kUnit)), EIO);
  add_refs(+1);
  EXPECT_EQ(code_of(a().copy_range(Caller{}, in, 0, out, 0, kUnit)), 0);
}

TEST_P(DataTest, SeekTellsHolesFromData) {
  make();
  Ino file = mkfile("f");
  write(file, kUnit, kUnit, 1);
  write(file, 2 * kChunkSize, kUnit, 2);
  uint64_t length = attr(file).length;
  auto seek = [&](uint64_t off, bool data) { return a().seek(file, off, data, length); };
  EXPECT_EQ(seek(0, true).value(), kUnit);
  EXPECT_EQ(seek(0, false).value(), 0u);
  EXPECT_EQ(seek(kUnit, false).value(), 2u * kUnit);
  EXPECT_EQ(seek(2 * kUnit, true).value(), 2 * kChunkSize);
  EXPECT_EQ(seek(2 * kChunkSize, false).value(), length);
  EXPECT_EQ(code_of(seek(length, true)), ENXIO);
  EXPECT_EQ(code_of(seek(length, false)), ENXIO);
}

TEST_P(DataTest, DeletedDataGoesWhoeverCleansUp) {
  make();
  Ino shared = mkfile("shared");
  for (int i = 0; i < 20; ++i) {
    std::string name = "f" + std::to_string(i);
    Ino file = mkfile(name);
    write(file, 0, kUnit, 1);
    write(file, kChunkSize, kUnit, 2);
    if (i % 2) {
      ASSERT_TRUE(a().copy_range(Caller{}, file, 0, shared, i * kUnit, kUnit));
    }
    ASSERT_TRUE(a().unlink(Caller{}, kRootIno, name));
  }
  clock().advance(7200);
  {
    std::jthread one([&] { EXPECT_TRUE(a().delete_files_now(1000)); });
    std::jthread two([&] { EXPECT_TRUE(b().delete_files_now(1000)); });
  }
  volume_->stop();
  EXPECT_EQ(volume_->data().alive(), 10u) << "those that the copies share";
  EXPECT_TRUE(volume_->dump().deleted_files.empty());
}

// After a power loss the records may be those of the last sync: their objects must be there.
TEST(DeletedData, GoesOnlyAfterItsRecordsAreSynced) {
  std::atomic<bool> disk_works = false;
  std::atomic<int> syncs = 0, deleted = 0;
  MemoryStore store({.on_sync = [&]() -> Status {
    ++syncs;
    return disk_works ? Status{} : fail(EIO);
  }});
  Volume volume{.name = "testvolume", .storage = "mem"};
  volume.trash_days = 0;
  ASSERT_TRUE(format_volume(store, &volume));
  Meta meta(memory_store_view(store), volume, {.background_jobs = false});
  testing::FakeData data;
  DataCallbacks callbacks = data.callbacks(meta);
  callbacks.delete_slice = [&](uint64_t, uint32_t) -> Status {
    EXPECT_GT(syncs, 0);
    ++deleted;
    return {};
  };
  ASSERT_TRUE(meta.start(callbacks));
  const Ino file = meta.mknod(Caller{}, kRootIno, "f", NewNode{.mode = 0644}).value().ino;
  ASSERT_TRUE(data.write(meta, file, 0, testing::kUnit, 1, Time{1, 0}));
  ASSERT_TRUE(meta.unlink(Caller{}, kRootIno, "f"));
  while (syncs == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(deleted, 0);
  disk_works = true;
  EXPECT_TRUE(meta.clean_unreferenced_slices());
  EXPECT_EQ(deleted, 1);
  meta.stop();
}

TEST_P(DataTest, UsageIsExactWhenTwoGrowAndCutOneFile) {
  make();
  Ino file = mkfile("f");
  {
    std::jthread one([&] {
      for (int i = 0; i < 40; ++i) write(file, i * 4096, 4096, 1);
    });
    std::jthread two([&] {
      for (int i = 0; i < 40; ++i)
        EXPECT_TRUE(b().truncate(Caller{}, file, i * 1000 / 512 * 512, true, false));
    });
  }
  EXPECT_TRUE(volume_->problems().empty());
}

}  // namespace
}  // namespace cider::meta
