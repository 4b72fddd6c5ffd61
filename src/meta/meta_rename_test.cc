#include <algorithm>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

CIDER_META_TEST(RenameTest);

TEST_P(RenameTest, MovesBetweenDirectories) {
  make();
  Ino from = mkdir("from"), to = mkdir("to");
  Ino file = mkfile("f", from), dir = mkdir("d", from);
  Attr before = attr(file);
  EXPECT_EQ(rename(from, "f", to, "g"), 0);
  EXPECT_EQ(rename(from, "d", to, "d"), 0);
  EXPECT_EQ(attr(file).parent, to);
  EXPECT_GT(attr(file).ctime, before.ctime);
  EXPECT_EQ(attr(file).mtime, before.mtime);
  EXPECT_EQ(attr(from).nlink, 2u);
  EXPECT_EQ(attr(to).nlink, 3u);
  EXPECT_EQ(a().lookup(Caller{}, dir, "..").value().ino, to);
  std::vector<std::string> names = list(to);
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"d", "g"}));
}

TEST_P(RenameTest, ReplacesWhatMayBeReplaced) {
  make();
  Ino file = mkfile("f"), other = mkfile("g");
  Ino dir = mkdir("d");
  mkdir("e");
  Ino full = mkdir("full");
  mkfile("x", full);
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "d"), EISDIR);
  EXPECT_EQ(rename(kRootIno, "d", kRootIno, "f"), ENOTDIR);
  EXPECT_EQ(rename(kRootIno, "d", kRootIno, "full"), ENOTEMPTY);
  EXPECT_EQ(rename(kRootIno, "none", kRootIno, "f"), ENOENT);
  auto done = a().rename(Caller{}, kRootIno, "f", kRootIno, "g", 0);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->replaced, other);
  EXPECT_EQ(done->moved.ino, file);
  EXPECT_EQ(code_of(a().getattr(other)), ENOENT);
  EXPECT_EQ(rename(kRootIno, "d", kRootIno, "e"), 0);
  EXPECT_EQ(a().lookup(Caller{}, kRootIno, "e").value().ino, dir);
  EXPECT_EQ(attr(kRootIno).nlink, 4u);
}

TEST_P(RenameTest, OntoItselfOrALinkOfItselfDoesNothing) {
  make();
  Ino file = mkfile("f");
  ASSERT_TRUE(a().link(Caller{}, file, kRootIno, "g"));
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "f"), 0);
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "g"), 0);
  EXPECT_EQ(attr(file).nlink, 2u);
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "g", kRenameNoReplace), EEXIST);
}

TEST_P(RenameTest, FlagsAreChecked) {
  make();
  mkfile("f");
  mkfile("g");
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "g", kRenameNoReplace), EEXIST);
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "h", kRenameNoReplace), 0);
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, "none", kRenameExchange), ENOENT);
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, "h", kRenameExchange | kRenameNoReplace), EINVAL);
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, "h", kRenameExchange | kRenameWhiteout), EINVAL);
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, "h", 64), EINVAL);
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, std::string(256, 'x')), ENAMETOOLONG);
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, "."), EBUSY);
  EXPECT_EQ(rename(kRootIno, "g", kRootIno, ".trash"), EPERM);
}

TEST_P(RenameTest, ExchangeSwapsAnyTwo) {
  make();
  Ino one = mkdir("one"), two = mkdir("two");
  Ino dir = mkdir("d", one), file = mkfile("f", two);
  mkfile("inner", dir);
  EXPECT_EQ(rename(one, "d", two, "f", kRenameExchange), 0);
  EXPECT_EQ(a().lookup(Caller{}, one, "d").value().ino, file);
  EXPECT_EQ(a().lookup(Caller{}, two, "f").value().ino, dir);
  EXPECT_EQ(attr(dir).parent, two);
  EXPECT_EQ(attr(file).parent, one);
  EXPECT_EQ(attr(one).nlink, 2u);
  EXPECT_EQ(attr(two).nlink, 3u);
}

TEST_P(RenameTest, WhiteoutLeavesADevice) {
  make();
  Ino file = mkfile("f");
  EXPECT_EQ(rename(kRootIno, "f", kRootIno, "g", kRenameWhiteout), 0);
  Node left = a().lookup(Caller{}, kRootIno, "f").value();
  EXPECT_EQ(left.attr.type, FileType::char_device);
  EXPECT_EQ(left.attr.rdev, 0u);
  EXPECT_EQ(left.attr.mode, 0);
  EXPECT_EQ(a().lookup(Caller{}, kRootIno, "g").value().ino, file);
}

TEST_P(RenameTest, ADirectoryIsNeverItsOwnAncestor) {
  make();
  Ino x = mkdir("x"), y = mkdir("y", x), z = mkdir("z", y);
  EXPECT_EQ(rename(kRootIno, "x", x, "in"), EINVAL);
  EXPECT_EQ(rename(kRootIno, "x", z, "in"), EINVAL);
  EXPECT_EQ(rename(kRootIno, "x", y, "z", kRenameExchange), EINVAL);
  EXPECT_EQ(rename(y, "z", kRootIno, "x", kRenameExchange), EINVAL);
  EXPECT_EQ(rename(x, "y", kRootIno, "y"), 0);
  EXPECT_EQ(rename(kRootIno, "x", z, "in"), 0);
}

// Two clients each move the other's tree into their own, `depth` below its top.
TEST_P(RenameTest, LoopsAreRefusedInRaces) {
  make();
  for (int depth : {1, 2, 5}) {
    for (int round = 0; round < 15; ++round) {
      Ino deepest[2];
      for (int side : {0, 1}) {
        std::string name = "side" + std::to_string(side);
        deepest[side] = mkdir(name);
        for (int i = 1; i < depth; ++i) deepest[side] = mkdir("d", deepest[side]);
      }
      int answers[2];
      {
        std::jthread one(
            [&] { answers[0] = code_of(a().rename(Caller{}, kRootIno, "side0", deepest[1], "in", 0)); });
        std::jthread two(
            [&] { answers[1] = code_of(b().rename(Caller{}, kRootIno, "side1", deepest[0], "in", 0)); });
      }
      EXPECT_EQ(answers[0] == 0, answers[1] != 0) << answers[0] << " and " << answers[1];
      EXPECT_EQ(answers[0] + answers[1], EINVAL);
      ASSERT_TRUE(volume_->problems().empty());
      std::atomic<uint64_t> count{0};
      EXPECT_TRUE(a().remove_tree(Caller{}, kRootIno, answers[0] == 0 ? "side1" : "side0", true, &count));
      EXPECT_EQ(count, 2u * depth);
    }
  }
}

TEST_P(RenameTest, AnUnwritableDirectoryStaysWhereItsParentIs) {
  make();
  Caller me = user(1, 1);
  Ino dir = mkdir("mine", kRootIno, 0777, me);
  mkdir("locked", dir, 0555, me);
  EXPECT_EQ(rename(dir, "locked", kRootIno, "x", 0, me), EACCES);
  EXPECT_EQ(rename(dir, "locked", dir, "x", 0, me), 0);
  mkdir("free", kRootIno, 0777, me);
  EXPECT_EQ(rename(kRootIno, "free", dir, "x", kRenameExchange, me), EACCES);
}

TEST_P(RenameTest, HardLinksMoveOneByOne) {
  make();
  Ino dir = mkdir("dir");
  Ino file = mkfile("f");
  ASSERT_TRUE(a().link(Caller{}, file, kRootIno, "g"));
  EXPECT_EQ(rename(kRootIno, "g", dir, "h"), 0);
  EXPECT_EQ(a().parents(file).value(), (std::map<Ino, uint32_t>{{kRootIno, 1}, {dir, 1}}));
  mkfile("over", dir);
  EXPECT_EQ(rename(dir, "over", dir, "h"), 0);
  EXPECT_EQ(attr(file).nlink, 1u);
}

}  // namespace
}  // namespace cider::meta
