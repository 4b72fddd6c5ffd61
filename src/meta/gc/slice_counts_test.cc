// Counts that are wrong are found and mended, and those that are right are right at every quiet point.
#include <random>
#include <thread>

#include "meta/gc/scan.h"
#include "meta/gc/slice_table.h"
#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

using testing::FakeData;
using testing::kUnit;

class CountTest : public testing::MetaTest {
 protected:
  // The slice of a file's first record.
  DelayedSlice slice_of(Ino ino) {
    const Slice first = a().chunk(ino, 0).value().front();
    return {first.id, first.size};
  }
  void add_refs(const DelayedSlice& slice, int64_t delta) {
    ASSERT_TRUE(b().store().run(
        [&](Transaction& tx) -> Status {
          tx.write(AddSliceRef{slice.id, slice.size, delta});
          return {};
        },
        {}));
  }
  Ino copy_of(Ino from, const std::string& name, uint64_t len = kUnit) {
    const Ino copy = mkfile(name);
    EXPECT_TRUE(a().copy_range(Caller{}, from, 0, copy, 0, len));
    return copy;
  }
  KnownSlice known(const DelayedSlice& slice) {
    SliceTable table;
    EXPECT_TRUE(scan_slices(a().store(), &table));
    for (const KnownSlice& found : table.of(slice.id)) {
      if (found.size == slice.size) return found;
    }
    return {};
  }
  Meta::SliceUses uses_of(const DelayedSlice& slice) {
    Meta::SliceUses uses{slice.id, slice.size, {}, {}};
    EXPECT_TRUE(find_uses(a().store(), {&uses, 1}));
    return uses;
  }
  Meta::CheckedCount mend(const DelayedSlice& slice, int64_t most_lowered = 0) {
    const auto mended = a().mend_count(uses_of(slice), most_lowered);
    EXPECT_TRUE(mended) << mended.error().to_string();
    return mended.value_or(Meta::CheckedCount{});
  }
  // Without a count in the engine.
  int64_t uncounted() { return a().store().uncounted_refs(); }
  int64_t refs(const KnownSlice& slice) { return slice.is_counted ? slice.refs : uncounted(); }
  void expect_counts_are_right() {
    SliceTable table;
    ASSERT_TRUE(scan_slices(a().store(), &table));
    for (const KnownSlice& slice : table.all()) {
      if (refs(slice) == static_cast<int64_t>(slice.records)) continue;
      // Redis may show a row twice in a scan; looked at closely, the count is right.
      ASSERT_GT(uncounted(), 0) << "slice " << slice.id;
      const Meta::CheckedCount found = mend({slice.id, slice.size});
      EXPECT_EQ(found.refs, found.records) << "slice " << slice.id;
      EXPECT_EQ(found.added, 0);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, CountTest, ::testing::ValuesIn(testing::all_engines()),
                         [](const auto& test) { return testing::engine_name(test.param); });

TEST_P(CountTest, ASmallCountIsRaised) {
  make();
  const Ino file = mkfile("f");
  write(file, 0, 2 * kUnit, 1);
  for (int i = 0; i < 3; ++i) copy_of(file, "c" + std::to_string(i));
  const DelayedSlice slice = slice_of(file);
  EXPECT_EQ(known(slice).records, 4u);
  EXPECT_EQ(known(slice).live, 5 * kUnit);
  EXPECT_EQ(known(slice).refs, 4);

  for (int64_t lost : {1, 3, 4, 6}) {  // down to 0 and below, as if it were being deleted
    add_refs(slice, -lost);
    EXPECT_EQ(known(slice).refs, 4 - lost);
    const Meta::CheckedCount mended = mend(slice);
    EXPECT_EQ(mended.records, 4);
    EXPECT_EQ(mended.refs, 4 - lost);
    EXPECT_EQ(mended.added, lost);
    EXPECT_EQ(known(slice).refs, 4);
  }
  EXPECT_EQ(mend(slice, 10).added, 0) << "it is right";
}

TEST_P(CountTest, ACountThatIsGoneIsMade) {
  make();
  const Ino file = mkfile("f");
  write(file, 0, 2 * kUnit, 1);
  copy_of(file, "c");
  const DelayedSlice slice = slice_of(file);
  add_refs(slice, -2);
  ASSERT_TRUE(b().store().run(
      [&](Transaction& tx) -> Status {
        tx.write(DeleteSliceRef{slice.id, slice.size});
        return {};
      },
      {}));
  EXPECT_EQ(known(slice).is_counted, 0u);
  mend(slice);
  EXPECT_EQ(known(slice).refs, 2);
}

TEST_P(CountTest, ALargeCountIsLoweredAsFarAsTheCallerSays) {
  make();
  const Ino file = mkfile("f");
  write(file, 0, 2 * kUnit, 1);
  copy_of(file, "c");
  const DelayedSlice slice = slice_of(file);
  add_refs(slice, 5);
  EXPECT_EQ(mend(slice).added, 0) << "seen once, it stays";
  EXPECT_EQ(mend(slice, 2).added, -2);
  EXPECT_EQ(known(slice).refs, 5);
  EXPECT_EQ(mend(slice, 100).added, -3);
  EXPECT_EQ(known(slice).refs, 2);
}

// Without a record, the count goes to 0, and the slice with it.
TEST_P(CountTest, ASliceThatNobodyNamesIsFreed) {
  make();
  const auto pack = volume_->data().make_pack(a(), std::vector<FakeData::PackedRange>{{1, 0, kUnit}}, 1, {});
  const Slice& made = pack->members[0].slice;
  const DelayedSlice slice{made.id, made.size};
  ASSERT_TRUE(b().store().run(
      [&](Transaction& tx) -> Status {
        tx.write(InsertSliceRef{slice.id, slice.size, 3, true});
        return {};
      },
      {}));
  EXPECT_EQ(known(slice).records, 0u);
  EXPECT_EQ(mend(slice, 3).added, -3);
  EXPECT_TRUE(volume_->data().has(slice.id));
  ASSERT_TRUE(a().clean_unreferenced_slices());
  EXPECT_FALSE(volume_->data().has(slice.id));
  EXPECT_EQ(known(slice).id, 0u);
}

TEST_P(CountTest, DelayedSlicesCount) {
  make({.trash_days = 1});
  const Ino file = mkfile("f");
  write(file, 0, 2 * kUnit, 1);
  copy_of(file, "c", 2 * kUnit);
  const DelayedSlice slice = slice_of(file);
  write(file, kUnit, 2 * kUnit, 10);
  ASSERT_TRUE(a().compact(file, 0, true));
  EXPECT_EQ(known(slice).records, 2u);
  EXPECT_TRUE(known(slice).is_delayed);
  EXPECT_EQ(uses_of(slice).chunks.size(), 1u);
  EXPECT_EQ(uses_of(slice).delayed.size(), 1u);
  add_refs(slice, -1);
  EXPECT_EQ(mend(slice).added, 1);
  add_refs(slice, 2);
  EXPECT_EQ(mend(slice, 2).added, -2);
  expect_counts_are_right();
}

// What the scan has found is looked at again in the commit.
TEST_P(CountTest, RecordsThatWentSinceTheScanDontCount) {
  make();
  const Ino file = mkfile("f");
  write(file, 0, kUnit, 1);
  const Ino copy = copy_of(file, "c");
  const DelayedSlice slice = slice_of(file);
  const Meta::SliceUses uses = uses_of(slice);
  ASSERT_EQ(uses.chunks.size(), 2u);
  write(copy, 0, kUnit, 7);
  ASSERT_TRUE(a().compact(copy, 0, true));
  const auto mended = a().mend_count(uses, 0);
  ASSERT_TRUE(mended);
  EXPECT_EQ(mended->records, 1);
  EXPECT_EQ(mended->added, 0);
  expect_counts_are_right();
}

TEST_P(CountTest, ASliceOfVeryManyFilesIsCountedByPortions) {
  make();
  const Ino file = mkfile("f");
  write(file, 0, kUnit, 1);
  constexpr int kCopies = 520;
  for (int i = 0; i < kCopies; ++i) copy_of(file, "c" + std::to_string(i));
  const DelayedSlice slice = slice_of(file);
  add_refs(slice, -500);
  EXPECT_EQ(mend(slice).added, 500);
  add_refs(slice, 7);
  EXPECT_EQ(mend(slice, 7).added, -7);
  expect_counts_are_right();
}

TEST_P(CountTest, CommitsMeanwhileAreNotLost) {
  make();
  const Ino file = mkfile("f");
  write(file, 0, kUnit, 1);
  const DelayedSlice slice = slice_of(file);
  add_refs(slice, 1);  // as many references as two
  add_refs(slice, -1);
  std::atomic<bool> done = false;
  std::jthread copier([&] {
    for (int i = 0; i < 60; ++i) {
      const std::string name = "c" + std::to_string(i);
      const auto copy = b().mknod(Caller{}, kRootIno, name, NewNode{FileType::file, 0644, 0, {}});
      EXPECT_TRUE(copy && b().copy_range(Caller{}, file, 0, copy->ino, 0, kUnit));
      if (i % 2 == 1) {
        EXPECT_TRUE(b().unlink(Caller{}, kRootIno, "c" + std::to_string(i - 1)));
        EXPECT_TRUE(b().delete_files_now(1000, -1));
      }
    }
    done = true;
  });
  while (!done) mend(slice);
  copier.join();
  EXPECT_TRUE(b().delete_files_now(1000, -1));
  expect_counts_are_right();
}

// Everything that adds and takes references, at random; what is counted then is what the records say. Without
// threads that delete: the scan for the check is no instant.
TEST_P(CountTest, CountsAreRightAfterWhateverWasDone) {
  std::mt19937 random(20);
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (int trash_days : {0, 1}) {
    make({.trash_days = trash_days, .options = {.background_jobs = false, .max_deletes = 0}});
    std::vector<std::pair<std::string, Ino>> files;
    int names = 0;
    const auto new_file = [&] {
      const std::string name = "f" + std::to_string(names++);
      files.emplace_back(name, mkfile(name));
      return files.back().second;
    };
    for (int i = 0; i < 4; ++i) write(new_file(), 0, 8 * kUnit, 100 * i + 1);
    for (int step = 0; step < 150; ++step) {
      const Ino some = files[pick(files.size())].second;
      const Ino other = files[pick(files.size())].second;
      switch (pick(9)) {
        case 0:
        case 1: {
          std::vector<FakeData::PackedRange> ranges;
          for (size_t i = 0; i < 1 + pick(5); ++i)
            ranges.push_back({new_file(), 0, static_cast<uint32_t>(kUnit * (1 + pick(4)))});
          EXPECT_TRUE(volume_->data().write_pack(a(), ranges, 1000 * step, clock().now()));
          break;
        }
        case 2:
          if (files.size() < 3) break;
          {
            const size_t gone = pick(files.size());
            EXPECT_TRUE(b().unlink(Caller{}, kRootIno, files[gone].first, pick(2) == 0));
            files.erase(files.begin() + static_cast<std::ptrdiff_t>(gone));
          }
          break;
        case 3:
          EXPECT_TRUE(a().truncate(Caller{}, some, kUnit * pick(10), true, false));
          break;
        case 4:
          write(some, kUnit * pick(6), kUnit * (1 + pick(4)), 5000 * step);
          break;
        case 5:
          if (some != other) (void)a().copy_range(Caller{}, some, kUnit * pick(3), other, 0, 4 * kUnit);
          break;
        case 6:
          EXPECT_TRUE(b().compact(some, 0, pick(2) == 0));
          break;
        case 7: {
          std::vector<Meta::SparseRecord> records;
          for (const auto& [name, ino] : files) {
            const auto chunk = a().chunk(ino, 0).value();
            if (!chunk.empty() && chunk.front().id != 0 && records.size() < 5 && pick(2) == 0)
              records.push_back({ino, 0, chunk.front()});
          }
          if (!records.empty()) {
            EXPECT_TRUE(b().repack(records));
          }
          break;
        }
        default:
          clock().advance(2 * 86400);
          EXPECT_TRUE(a().delete_files_now(1000, -1));
          EXPECT_TRUE(a().clean_delayed_slices(Time{clock().now().sec - 86400, 0}));
          EXPECT_TRUE(a().clean_trash(Time{clock().now().sec - 86400, 0}));
          break;
      }
      if (step % 10 == 9) expect_counts_are_right();
    }
    TearDown();
    volume_.reset();
  }
}

}  // namespace
}  // namespace cider::meta
