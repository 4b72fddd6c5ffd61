// What is left of sparse packs moves to a new one, whatever happens to the files meanwhile.
#include <thread>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

using testing::FakeData;
using testing::kUnit;

class RepackTest : public testing::MetaTest {
 protected:
  // Files <name>0, <name>1 ..., of a unit each, in one pack.
  std::vector<Ino> pack(const std::string& name, int members, uint64_t tag) {
    std::vector<FakeData::PackedRange> ranges;
    std::vector<Ino> inodes;
    for (int i = 0; i < members; ++i) {
      inodes.push_back(mkfile(name + std::to_string(i)));
      ranges.push_back({inodes.back(), 0, kUnit});
    }
    EXPECT_TRUE(volume_->data().write_pack(a(), ranges, tag, clock().now()));
    return inodes;
  }
  Meta::SparseRecord record_of(Ino ino) { return {ino, 0, a().chunk(ino, 0).value().at(0)}; }
  void unlink(const std::string& name) { ASSERT_TRUE(a().unlink(Caller{}, kRootIno, name, true)); }
  size_t repack(const std::vector<Meta::SparseRecord>& records) {
    const auto swapped = b().repack(records);
    EXPECT_TRUE(swapped) << swapped.error().to_string();
    return swapped.value_or(0);
  }
  int64_t refs(const Slice& slice) {
    const auto dump = volume_->dump();
    const auto found = dump.refs.find({slice.id, slice.size});
    return found == dump.refs.end() ? -100 : found->second;
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, RepackTest, ::testing::ValuesIn(testing::all_engines()),
                         [](const auto& test) { return testing::engine_name(test.param); });

TEST_P(RepackTest, WhatIsLeftOfTwoPacksBecomesOne) {
  for (int trash_days : {0, 1}) {
    make({.trash_days = trash_days});
    const std::vector<Ino> one = pack("a", 4, 1);
    const std::vector<Ino> two = pack("b", 4, 11);
    for (const char* name : {"a0", "a1", "a2", "b0", "b3"}) unlink(name);
    ASSERT_TRUE(a().delete_files_now(1000, -1));
    const std::vector<Meta::SparseRecord> records = {record_of(one[3]), record_of(two[1]), record_of(two[2])};
    EXPECT_EQ(repack(records), 3u);

    const Slice moved = record_of(two[2]).slice;
    EXPECT_NE(moved.id, records[2].slice.id);
    EXPECT_EQ(moved, (Slice{0, moved.id, 3 * kUnit, 2 * kUnit, kUnit}));
    EXPECT_EQ(refs(moved), 3);
    EXPECT_EQ(refs(records[0].slice), 1) << "the delayed slice's";
    EXPECT_EQ(refs(records[1].slice), 2);

    // Whoever has looked the old records up still finds the data, for an hour, without a trash, too.
    ASSERT_TRUE(a().clean_delayed_slices(Time{clock().now().sec - Meta::kDelayedGrace, 0}));
    EXPECT_TRUE(volume_->data().has(records[0].slice.id));
    clock().advance(Meta::kDelayedGrace + 1);
    ASSERT_TRUE(a().clean_delayed_slices(Time{clock().now().sec - Meta::kDelayedGrace, 0}));
    EXPECT_EQ(volume_->data().alive(), 1u);
    EXPECT_EQ(read(one[3]), (FakeData::Units{{0, 4}}));
    EXPECT_EQ(read(two[1]), (FakeData::Units{{0, 12}}));
    EXPECT_EQ(read(two[2]), (FakeData::Units{{0, 13}}));
    TearDown();
    volume_.reset();
  }
}

TEST_P(RepackTest, RecordsThatChangedKeepWhatTheyHave) {
  make();
  const std::vector<Ino> files = pack("a", 6, 1);
  std::vector<Meta::SparseRecord> records;
  for (Ino ino : files) records.push_back(record_of(ino));
  unlink("a0");
  ASSERT_TRUE(a().delete_files_now(1000, -1));
  write(files[1], 0, kUnit, 100);  // a record behind it
  write(files[2], kUnit, kUnit, 200);
  ASSERT_TRUE(a().compact(files[2], 0, true));
  ASSERT_TRUE(a().truncate(Caller{}, files[3], 0, true, false));
  ASSERT_TRUE(a().store().run(
      [&](Transaction& tx) -> Status {
        PatchNode patch{files[4]};
        patch.set = field::tier;
        patch.values.tier = 1;
        tx.write(std::move(patch));
        return {};
      },
      {}));
  EXPECT_EQ(repack(records), 3u) << "1, 3 and 5";
  const Slice moved = record_of(files[5]).slice;
  EXPECT_EQ(moved.off, 5 * kUnit);
  EXPECT_EQ(refs(moved), 3);
  EXPECT_EQ(record_of(files[4]).slice, records[4].slice) << "it is in another tier";
  EXPECT_EQ(read(files[1]), (FakeData::Units{{0, 100}}));
  EXPECT_EQ(read(files[2]), (FakeData::Units{{0, 3}, {1, 200}}));
  EXPECT_TRUE(read(files[3]).empty());
  EXPECT_EQ(read(files[4]), (FakeData::Units{{0, 5}}));
  EXPECT_EQ(read(files[5]), (FakeData::Units{{0, 6}}));
}

TEST_P(RepackTest, WhereAllHaveChangedNothingIsLeft) {
  make();
  const std::vector<Ino> files = pack("a", 2, 1);
  const std::vector<Meta::SparseRecord> records = {record_of(files[0]), record_of(files[1])};
  EXPECT_EQ(repack(records), 2u);
  const size_t alive = volume_->data().alive();
  EXPECT_EQ(repack(records), 0u);
  EXPECT_EQ(volume_->data().alive(), alive);
}

TEST_P(RepackTest, TheShapeOfAPackIsChecked) {
  make();
  const std::vector<Ino> files = pack("a", 2, 1);
  EXPECT_EQ(code_of(a().repack({})), EINVAL);
  const std::vector<Meta::SparseRecord> twice = {record_of(files[0]), record_of(files[0])};
  EXPECT_EQ(code_of(a().repack(twice)), EINVAL);
  const Meta::SparseRecord hole{files[0], 0, {0, 0, 0, 0, kUnit}};
  EXPECT_EQ(code_of(a().repack({&hole, 1})), EINVAL);
}

TEST_P(RepackTest, FilesMayBeWrittenAndUnlinkedMeanwhile) {
  make();
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "r" + std::to_string(round) + "_";
    const std::vector<Ino> files = pack(name, 4, 10 * round + 1);
    std::vector<Meta::SparseRecord> records;
    for (Ino ino : files) records.push_back(record_of(ino));
    std::jthread user([&] {
      EXPECT_TRUE(a().unlink(Caller{}, kRootIno, name + "0", true));
      EXPECT_TRUE(a().delete_files_now(1000, -1));
      write(files[1], 0, kUnit, 7000);
      EXPECT_TRUE(a().compact(files[1], 0, true));
    });
    const size_t swapped = repack(records);
    user.join();
    EXPECT_GE(swapped, 2u);
    EXPECT_LE(swapped, 4u);
    EXPECT_EQ(read(files[1]), (FakeData::Units{{0, 7000}}));
    EXPECT_EQ(read(files[2]), (FakeData::Units{{0, 10u * round + 3}}));
    EXPECT_EQ(read(files[3]), (FakeData::Units{{0, 10u * round + 4}}));
  }
}

}  // namespace
}  // namespace cider::meta
