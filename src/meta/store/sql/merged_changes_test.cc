// How many statements the writes of several operations become, and that none goes before one that it depends
// on.
#include "meta/store/sql/merged_changes.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "meta/store/sql/dialect.h"

namespace cider::meta::sql {
namespace {

class MergedChangesTest : public ::testing::Test {
 protected:
  const std::vector<Change>& merge(const std::vector<std::vector<WriteItem>>& operations,
                                   Dialect::Kind kind = Dialect::Kind::mysql) {
    operations_ = operations;
    const Dialect dialect(kind);
    for (const auto& writes : operations_) merged_.add(writes);
    merged_.append_to(&changes_, {dialect});
    return changes_;
  }
  std::string text(size_t i) const { return changes_.at(i).statement.text; }
  size_t values(size_t i) const { return changes_.at(i).statement.values.size(); }

  std::vector<std::vector<WriteItem>> operations_;
  MergedChanges merged_;
  std::vector<Change> changes_;
};

PatchNode touch(Ino ino, int64_t seconds, std::optional<Attr>* after = nullptr) {
  PatchNode patch;
  patch.ino = ino;
  patch.touch = Time{seconds, 0};
  patch.after = after;
  return patch;
}

std::vector<WriteItem> create(Ino ino, const std::string& name, int64_t seconds) {
  return {InsertNode{ino, Attr{}}, InsertEntry{1, name, {ino, FileType::file}}, touch(1, seconds),
          AddUsage{4096, 1}};
}

TEST_F(MergedChangesTest, CreatesOfADirectoryAreThreeStatements) {
  const auto& changes = merge({create(2, "a", 10), create(3, "b", 30), create(4, "c", 20)});
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_TRUE(text(0).starts_with("INSERT INTO jfs_node"));
  EXPECT_EQ(changes[0].rows, 3);
  EXPECT_EQ(values(0), 3U * 19);
  EXPECT_EQ(text(1), "INSERT INTO jfs_edge (parent,name,inode,type) VALUES (?,?,?,?),(?,?,?,?),(?,?,?,?)");
  EXPECT_EQ(values(1), 12U);
  // The latest of the times.
  EXPECT_TRUE(text(2).starts_with("UPDATE jfs_node"));
  EXPECT_EQ(changes[2].statement.values.front().number, 30'000'000);
  EXPECT_EQ(std::get<PatchNode>(*changes[2].item).touch, (Time{30, 0}));
}

TEST_F(MergedChangesTest, LinksAddUpAndEveryOperationGetsItsAnswer) {
  std::optional<Attr> first, second, third;
  PatchNode a = touch(1, 1), b = touch(1, 2, &first), c = touch(1, 3, &second), d = touch(1, 4, &third);
  a.nlink_delta = b.nlink_delta = c.nlink_delta = 1;
  const auto& changes = merge({{a}, {b}, {c}, {d}}, Dialect::Kind::postgres);
  ASSERT_EQ(changes.size(), 1U);
  const auto& patch = std::get<PatchNode>(*changes[0].item);
  EXPECT_EQ(patch.nlink_delta, 3);
  EXPECT_EQ(patch.after, &first);
  EXPECT_EQ(changes[0].more_after, (std::vector<std::optional<Attr>*>{&second, &third}));
}

TEST_F(MergedChangesTest, TheAnsweringSelectKnowsAllWhoAsk) {
  std::optional<Attr> first, second;
  const auto& changes = merge({{touch(1, 1, &first)}, {touch(1, 2, &second)}});
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_TRUE(changes[0].more_after.empty());
  EXPECT_TRUE(changes[1].answers);
  EXPECT_EQ(changes[1].more_after, (std::vector<std::optional<Attr>*>{&second}));
}

TEST_F(MergedChangesTest, DeletesAreCounted) {
  const auto unlink = [](Ino ino, const std::string& name) -> std::vector<WriteItem> {
    return {DeleteNode{ino}, DeleteEntry{1, name, {ino, FileType::file}}, touch(1, 1)};
  };
  const auto& changes = merge({unlink(2, "a"), unlink(3, "b")});
  ASSERT_EQ(changes.size(), 5U);
  EXPECT_EQ(text(2), "DELETE FROM jfs_node WHERE (inode=?) OR (inode=?)");
  EXPECT_EQ(
      text(3),
      "DELETE FROM jfs_edge WHERE (parent=? AND name=? AND inode=?) OR (parent=? AND name=? AND inode=?)");
  EXPECT_TRUE(check(changes[3], 2));
  EXPECT_FALSE(check(changes[3], 1));
}

TEST_F(MergedChangesTest, NothingGoesBeforeWhatNamesTheSame) {
  // A name that goes and comes again, an inode that is changed and then deleted.
  const auto& changes = merge({{InsertEntry{1, "b", {9, FileType::file}}},
                               {DeleteEntry{1, "a", {2, FileType::file}}},
                               {InsertEntry{1, "a", {3, FileType::file}}},
                               {DeleteNode{7}},
                               {SetXattr{8, "x", "y"}},
                               {DeleteNode{8}}});
  std::vector<std::string_view> order;
  for (const Change& change : changes) order.push_back(std::string_view(change.statement.text).substr(0, 20));
  EXPECT_EQ(order, (std::vector<std::string_view>{"INSERT INTO jfs_edge", "DELETE FROM jfs_edge",
                                                  "INSERT INTO jfs_edge", "DELETE FROM jfs_xatt",
                                                  "DELETE FROM jfs_syml", "DELETE FROM jfs_node",
                                                  "INSERT INTO jfs_xatt", "DELETE FROM jfs_xatt",
                                                  "DELETE FROM jfs_syml", "DELETE FROM jfs_node"}));
}

TEST_F(MergedChangesTest, ATouchStaysBehindWhatSetsTheInode) {
  PatchNode chmod;
  chmod.ino = 1;
  chmod.set = field::mode;
  PatchNode ctime_only;
  ctime_only.ino = 1;
  ctime_only.touch_ctime = Time{5, 0};
  const auto& changes = merge({{touch(1, 1)}, {chmod}, {touch(1, 2)}, {touch(1, 3)}, {ctime_only}});
  ASSERT_EQ(changes.size(), 4U);
  EXPECT_EQ(std::get<PatchNode>(*changes[0].item).touch, (Time{1, 0}));
  EXPECT_EQ(std::get<PatchNode>(*changes[1].item).set, field::mode);
  EXPECT_EQ(std::get<PatchNode>(*changes[2].item).touch, (Time{3, 0}));
  EXPECT_EQ(std::get<PatchNode>(*changes[3].item).touch_ctime, (Time{5, 0}));
}

TEST_F(MergedChangesTest, StatementsThatTheServerHasPreparedStayAsTheyAre) {
  const auto& changes = merge({create(2, "a", 10), create(3, "b", 30)}, Dialect::Kind::postgres);
  ASSERT_EQ(changes.size(), 5U);  // but for the directory's
  for (const Change& change : changes) EXPECT_EQ(change.rows, 1);
}

TEST_F(MergedChangesTest, StatementsEndSomewhere) {
  std::vector<std::vector<WriteItem>> operations;
  for (Ino ino = 2; ino < 102; ++ino) operations.push_back({InsertNode{ino, Attr{}}});
  const auto& changes = merge(operations);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].rows, 64);
  EXPECT_EQ(changes[1].rows, 36);
}

}  // namespace
}  // namespace cider::meta::sql
