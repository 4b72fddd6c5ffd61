// Slices that several files share: their commit, their count, and their end.
#include <algorithm>
#include <thread>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

using testing::FakeData;
using testing::kUnit;
using testing::VolumeDump;

class PackTest : public testing::MetaTest {
 protected:
  // Files f0, f1 ... with so many units each, not committed.
  Pack pack_of(std::initializer_list<uint32_t> units, uint64_t tag = 1) {
    std::vector<FakeData::PackedRange> ranges;
    for (uint32_t n : units) {
      const Ino ino = mkfile("f" + std::to_string(files_.size()));
      files_.push_back(ino);
      ranges.push_back({ino, 0, n * kUnit});
    }
    return volume_->data().make_pack(a(), ranges, tag, clock().now()).value();
  }
  std::vector<int> commit(Pack* pack) {
    auto results = a().commit_pack(pack);
    EXPECT_TRUE(results) << results.error().to_string();
    std::vector<int> codes;
    if (!results) return codes;
    for (const auto& result : *results) codes.push_back(code_of(result));
    return codes;
  }
  // The count of the pack's slice; nullopt without one.
  std::optional<int64_t> count(const Pack& pack) {
    const Slice& slice = pack.members[0].slice;
    const VolumeDump dump = volume_->dump();
    const auto found = dump.refs.find({slice.id, slice.size});
    return found == dump.refs.end() ? std::nullopt : std::optional(found->second);
  }
  void unlink(size_t file) {
    ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f" + std::to_string(file)));
    clock().advance(7200);
    ASSERT_TRUE(b().delete_files_now(1000));
    ASSERT_TRUE(b().clean_unreferenced_slices());
  }

  std::vector<Ino> files_;
};

INSTANTIATE_TEST_SUITE_P(Engines, PackTest, ::testing::ValuesIn(testing::all_engines()),
                         [](const auto& test) { return testing::engine_name(test.param); });

TEST_P(PackTest, MembersShareASlice) {
  make();
  Pack pack = pack_of({2, 3, 1});
  const Attr before = attr(files_[1]);
  const auto results = a().commit_pack(&pack);
  ASSERT_TRUE(results) << results.error().to_string();
  EXPECT_EQ(count(pack), 3);
  const uint64_t id = pack.members[0].slice.id;
  EXPECT_EQ(a().chunk(files_[0], 0).value(), (std::vector<Slice>{{0, id, 6 * kUnit, 0, 2 * kUnit}}));
  EXPECT_EQ(a().chunk(files_[1], 0).value(), (std::vector<Slice>{{0, id, 6 * kUnit, 2 * kUnit, 3 * kUnit}}));
  EXPECT_EQ(read(files_[0]), (FakeData::Units{{0, 1}, {1, 2}}));
  EXPECT_EQ(read(files_[1]), (FakeData::Units{{0, 3}, {1, 4}, {2, 5}}));
  EXPECT_EQ(read(files_[2]), (FakeData::Units{{0, 6}}));

  const Written& second = *(*results)[1];
  EXPECT_EQ(second.before.length, 0u);
  EXPECT_EQ(second.before.mtime, before.mtime);
  EXPECT_EQ(second.attr.length, 3u * kUnit);
  EXPECT_EQ(second.records, 1u);
  const Attr after = attr(files_[1]);
  EXPECT_EQ(after.length, 3u * kUnit);
  EXPECT_EQ(after.mtime, pack.members[1].mtime);
  EXPECT_GT(after.ctime, before.ctime);
}

TEST_P(PackTest, AMemberAppendsToWhatItsFileHas) {
  make();
  Pack pack = pack_of({1, 2});
  write(files_[1], 0, 4 * kUnit, 100);
  pack.members[1].slice.pos = 3 * kUnit;
  const auto results = a().commit_pack(&pack);
  ASSERT_TRUE(results);
  EXPECT_EQ((*results)[1]->records, 2u);
  EXPECT_EQ(attr(files_[1]).length, 5u * kUnit);
  EXPECT_EQ(read(files_[1]), (FakeData::Units{{0, 100}, {1, 101}, {2, 102}, {3, 2}, {4, 3}}));
}

TEST_P(PackTest, OneMemberIsCountedToo) {
  make();
  Pack pack = pack_of({1});
  EXPECT_EQ(commit(&pack), std::vector<int>{0});
  EXPECT_EQ(count(pack), 1);
  unlink(0);
  EXPECT_EQ(volume_->data().alive(), 0u);
}

TEST_P(PackTest, ThePacksShapeIsChecked) {
  make();
  const auto refused = [&](auto&& spoil) {
    Pack pack = pack_of({1, 1});
    spoil(pack);
    const int code = code_of(a().commit_pack(&pack));
    for (const PackMember& m : pack.members) EXPECT_TRUE(a().chunk(m.ino, m.index)->empty());
    return code;
  };
  EXPECT_EQ(refused([](Pack& p) { p.members[1].ino = p.members[0].ino; }), EINVAL) << "twice in one file";
  EXPECT_EQ(refused([](Pack& p) { p.members[1].slice.id++; }), EINVAL);
  EXPECT_EQ(refused([](Pack& p) { p.members[1].slice.size++; }), EINVAL);
  EXPECT_EQ(refused([](Pack& p) { p.members[1].slice.len++; }), EINVAL) << "beyond the pack";
  EXPECT_EQ(refused([](Pack& p) { p.members[1].slice.len = 0; }), EINVAL);
  EXPECT_EQ(refused([](Pack& p) { p.members[1].index = 1u << 31; }), EFBIG);
  Pack none;
  EXPECT_EQ(code_of(a().commit_pack(&none)), EINVAL);
  Pack large = pack_of({1});
  for (Ino i = 1; i <= Meta::kMostPackMembers; ++i) {
    large.members.push_back(large.members[0]);
    large.members.back().ino += 1000 + i;
  }
  EXPECT_EQ(code_of(a().commit_pack(&large)), EINVAL);
}

TEST_P(PackTest, WhoIsRefusedIsLeftOut) {
  make();
  Pack pack = pack_of({1, 1, 1, 1, 1});
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f0"));
  pack.members[1].ino = mkdir("d");
  ASSERT_TRUE(a().store().run(
      [&](Transaction& tx) -> Status {
        PatchNode patch{files_[3]};
        patch.set = field::tier;
        patch.values.tier = 1;
        tx.write(std::move(patch));
        return {};
      },
      {}));
  EXPECT_EQ(commit(&pack), (std::vector<int>{ENOENT, EPERM, 0, EOPNOTSUPP, 0}));
  EXPECT_EQ(count(pack), 2);
  EXPECT_EQ(read(files_[2]), (FakeData::Units{{0, 3}}));
  EXPECT_EQ(read(files_[4]), (FakeData::Units{{0, 5}}));
  EXPECT_TRUE(read(files_[3]).empty());
}

TEST_P(PackTest, WhereAllAreRefusedNothingIsWritten) {
  make();
  Pack pack = pack_of({1, 1});
  for (const char* name : {"f0", "f1"}) ASSERT_TRUE(a().unlink(Caller{}, kRootIno, name));
  EXPECT_EQ(commit(&pack), (std::vector<int>{ENOENT, ENOENT}));
  EXPECT_EQ(count(pack), std::nullopt);
}

TEST_P(PackTest, MembersFillAVolumeOneByOne) {
  constexpr uint32_t kPage = 4096;
  make({.capacity = 7 * kPage});
  constexpr uint32_t kUnits = 3 * kPage / kUnit;
  Pack pack = pack_of({kUnits, kUnits, kUnits, 1});  // an empty file takes a page
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, ENOSPC, ENOSPC, 0}));
  EXPECT_EQ(count(pack), 2);
  EXPECT_EQ(attr(files_[1]).length, 0u);
}

TEST_P(PackTest, AFileWithoutANameIsAMember) {
  make();
  Pack pack = pack_of({1, 1});
  ASSERT_TRUE(a().open(Caller{}, files_[0], O_RDWR));
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f0"));
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, 0}));
  EXPECT_EQ(read(files_[0]), (FakeData::Units{{0, 1}}));
  EXPECT_EQ(count(pack), 2);
  a().close(files_[0]);
  EXPECT_EQ(read(files_[1]), (FakeData::Units{{0, 2}}));
}

TEST_P(PackTest, EveryDirectoryOfAMemberIsToldOfItsGrowth) {
  make();
  Pack pack = pack_of({20, 20});
  const Ino dir = mkdir("d");
  ASSERT_TRUE(a().link(Caller{}, files_[0], dir, "second"));
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, 0}));  // TearDown() counts again
}

TEST_P(PackTest, TheSameCommitTwiceCountsOnce) {
  make();
  Pack pack = pack_of({1, 2, 1});
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, 0, 0}));
  write(files_[1], kUnit, 3 * kUnit, 100);
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, 0, 0})) << "a retry after a lost answer";
  EXPECT_EQ(count(pack), 3);
  EXPECT_EQ(a().chunk(files_[0], 0)->size(), 1u);
  EXPECT_EQ(read(files_[1]), (FakeData::Units{{0, 2}, {1, 100}, {2, 101}, {3, 102}}))
      << "what came later stays on top";

  // Of who was compacted or deleted since, the records tell nothing any more.
  ASSERT_TRUE(a().compact(files_[1], 0, true));
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "f2"));
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, EIO, ENOENT}));
  pack.tried = {true, true, true};
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, 0, ENOENT})) << "the try before had them all";
  pack.tried = {true, false, true};
  EXPECT_EQ(commit(&pack), (std::vector<int>{0, EIO, ENOENT}));
}

TEST_P(PackTest, ANumberThatIsInUseIsRefused) {
  make();
  Ino other = mkfile("other");
  Pack pack = pack_of({1, 1});
  const Slice& slice = pack.members[0].slice;
  ASSERT_TRUE(a().store().run(
      [&](Transaction& tx) -> Status {
        std::string record;
        append_slice(&record, {0, slice.id, slice.size, 0, slice.size});
        tx.write(AppendSlices{other, 0, record, nullptr});
        tx.write(InsertSliceRef{slice.id, slice.size, 1, true});
        tx.write(PatchNode{other});
        return {};
      },
      {}));
  EXPECT_EQ(code_of(a().commit_pack(&pack)), EEXIST);
  EXPECT_TRUE(a().chunk(files_[0], 0)->empty());
  EXPECT_EQ(count(pack), 1);
}

TEST_P(PackTest, MembersGoInAnyOrderAndTheLastTakesTheSlice) {
  std::vector<size_t> order = {0, 1, 2};
  do {
    make();
    files_.clear();
    Pack pack = pack_of({1, 2, 1});
    ASSERT_EQ(commit(&pack), (std::vector<int>{0, 0, 0}));
    const FakeData::Units all[] = {{{0, 1}}, {{0, 2}, {1, 3}}, {{0, 4}}};
    for (size_t gone = 0; gone < order.size(); ++gone) {
      for (size_t i = gone; i < order.size(); ++i) EXPECT_EQ(read(files_[order[i]]), all[order[i]]);
      EXPECT_EQ(count(pack), static_cast<int64_t>(order.size() - gone));
      unlink(order[gone]);
    }
    EXPECT_EQ(volume_->data().alive(), 0u);
    EXPECT_EQ(count(pack), std::nullopt);
    TearDown();
    volume_.reset();
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(PackTest, CopiesOfMembersCountToo) {
  make();
  Pack pack = pack_of({1, 3, 1});
  ASSERT_EQ(commit(&pack), (std::vector<int>{0, 0, 0}));
  const Ino copy = mkfile("copy");
  ASSERT_TRUE(a().copy_range(Caller{}, files_[1], kUnit, copy, 0, 2 * kUnit));
  EXPECT_EQ(count(pack), 4);
  EXPECT_EQ(a().chunk(copy, 0)->front(),
            (Slice{0, pack.members[0].slice.id, 5 * kUnit, 2 * kUnit, 2 * kUnit}));
  for (size_t i : {1, 0, 2}) unlink(i);
  EXPECT_EQ(read(copy), (FakeData::Units{{0, 3}, {1, 4}}));
  EXPECT_EQ(count(pack), 1);
}

TEST_P(PackTest, CompactionTakesAMemberOutOfItsPack) {
  for (int trash_days : {0, 1}) {
    make({.trash_days = trash_days});
    files_.clear();
    Pack pack = pack_of({3, 3});
    ASSERT_EQ(commit(&pack), (std::vector<int>{0, 0}));
    write(files_[0], kUnit, kUnit, 100);
    write(files_[0], 3 * kUnit, kUnit, 200);
    ASSERT_TRUE(b().compact(files_[0], 0, false));
    ASSERT_EQ(a().chunk(files_[0], 0)->size(), 1u);
    EXPECT_NE(a().chunk(files_[0], 0)->front().id, pack.members[0].slice.id);
    EXPECT_EQ(read(files_[0]), (FakeData::Units{{0, 1}, {1, 100}, {2, 3}, {3, 200}}));
    clock().advance(3 * 86400);
    EXPECT_TRUE(a().clean_delayed_slices(clock().now()));
    EXPECT_EQ(count(pack), 1);
    EXPECT_EQ(read(files_[1]), (FakeData::Units{{0, 4}, {1, 5}, {2, 6}}));
    TearDown();
    volume_.reset();
  }
}

TEST_P(PackTest, TruncatedAndOverwrittenMembersLeaveTheirNeighboursAlone) {
  make();
  Pack pack = pack_of({4, 4});
  ASSERT_EQ(commit(&pack), (std::vector<int>{0, 0}));
  ASSERT_TRUE(a().truncate(Caller{}, files_[0], kUnit, true, false));
  ASSERT_TRUE(a().truncate(Caller{}, files_[0], 3 * kUnit, true, false));
  write(files_[1], 0, kUnit, 100);
  EXPECT_EQ(read(files_[0]), (FakeData::Units{{0, 1}}));
  EXPECT_EQ(read(files_[1]), (FakeData::Units{{0, 100}, {1, 6}, {2, 7}, {3, 8}}));
}

// The first member is deleted for good while others are being committed: the count covers them all from the
// first instant on.
TEST_P(PackTest, MembersMayBeUnlinkedWhilePacksAreCommitted) {
  make();
  constexpr int kRounds = 30;
  constexpr size_t kMembers = 4;
  std::atomic<int> ready{-1};
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < kMembers; ++i) mkfile("r" + std::to_string(round) + "_" + std::to_string(i));
  }
  std::jthread remover([&] {
    for (int round = 0; round < kRounds; ++round) {
      while (ready < round) std::this_thread::yield();
      for (size_t i = 0; i + 1 < kMembers; ++i)
        EXPECT_TRUE(b().unlink(Caller{}, kRootIno, "r" + std::to_string(round) + "_" + std::to_string(i)));
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    std::vector<FakeData::PackedRange> ranges;
    for (size_t i = 0; i < kMembers; ++i) {
      const std::string name = "r" + std::to_string(round) + "_" + std::to_string(i);
      ranges.push_back({a().lookup(Caller{}, kRootIno, name)->ino, 0, kUnit});
    }
    Pack pack = volume_->data().make_pack(a(), ranges, 100 * (round + 1), clock().now()).value();
    ready = round;
    const std::vector<int> codes = commit(&pack);
    ASSERT_EQ(codes.back(), 0);
    for (int code : codes) EXPECT_TRUE(code == 0 || code == ENOENT) << code;
  }
  remover.join();
  for (int round = 0; round < kRounds; ++round) {
    const Ino ino = a().lookup(Caller{}, kRootIno, "r" + std::to_string(round) + "_3")->ino;
    EXPECT_EQ(read(ino), (FakeData::Units{{0, 100u * (round + 1) + 3}}));
  }
}

}  // namespace
}  // namespace cider::meta
