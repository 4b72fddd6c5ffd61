// The checker of histories itself: what it must accept, and what it must not.
#include "meta/testing/linearizability.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace cider::meta::testing {
namespace {

constexpr size_t kA = 0;
constexpr size_t kB = 1;
constexpr size_t kOther = 2;  // in another directory

// The times of an operation.
struct Span {
  uint64_t invoked;
  uint64_t returned;
};
constexpr uint64_t kNever = NameOp::kNever;

NameOp op(NameCall call, Span span, size_t place, NameAnswer answer) {
  return {.call = call, .place = place, .invoked = span.invoked, .returned = span.returned, .answer = answer};
}
NameOp create(Span span, size_t place, Ino ino) {
  return op(NameCall::create, span, place, {.ino = ino});
}
NameOp unlink(Span span, size_t place, Ino ino) {
  return op(NameCall::unlink, span, place, {.ino = ino});
}
NameOp lookup(Span span, size_t place, Ino ino, uint32_t nlink = 1) {
  return op(NameCall::lookup, span, place, {.ino = ino, .nlink = nlink});
}
NameOp refused(NameCall call, Span span, size_t place, int error) {
  return op(call, span, place, {.error = error});
}
NameOp rename(Span span, size_t from, size_t to, uint32_t flags, NameAnswer answer) {
  NameOp made = op(NameCall::rename, span, from, answer);
  made.target = to;
  made.flags = flags;
  return made;
}
NameOp of_inode(NameCall call, Span span, Ino ino, size_t place, NameAnswer answer) {
  NameOp made = op(call, span, place, answer);
  made.ino = ino;
  return made;
}
NameOp link(Span span, Ino ino, size_t place, uint32_t nlink) {
  return of_inode(NameCall::link, span, ino, place, {.ino = ino, .nlink = nlink});
}

bool accepted(const NameHistory& history) {
  return !why_not_linearizable(history);
}

TEST(LinearizabilityTest, AcceptsWhatOneClientIsTold) {
  EXPECT_TRUE(accepted({}));
  EXPECT_TRUE(
      accepted({refused(NameCall::lookup, {1, 2}, kA, ENOENT), create({3, 4}, kA, 10),
                refused(NameCall::create, {5, 6}, kA, EEXIST),
                op(NameCall::open_or_create, {7, 8}, kA, {.ino = 10}), link({9, 10}, 10, kOther, 2),
                rename({11, 12}, kA, kOther, 0, {.ino = 10, .nlink = 2}),  // two names of one inode
                unlink({13, 14}, kA, 10), lookup({15, 16}, kOther, 10), create({17, 18}, kA, 11),
                rename({19, 20}, kA, kOther, kRenameExchange, {.ino = 11, .replaced = 10, .nlink = 1}),
                rename({21, 22}, kA, kOther, kRenameNoReplace, {.error = EEXIST}),
                rename({23, 24}, kA, kB, kRenameExchange, {.error = ENOENT}),
                rename({25, 26}, kA, kOther, 0, {.ino = 10, .replaced = 11, .nlink = 1}),
                of_inode(NameCall::getattr, {27, 28}, 11, kA, {.error = ENOENT}),
                of_inode(NameCall::link, {29, 30}, 11, kOther, {.error = ENOENT}),
                op(NameCall::open_or_create, {31, 32}, kA, {.ino = 12, .created = true})}));
}

TEST(LinearizabilityTest, OperationsAtTheSameTimeMayComeInAnyOrder) {
  EXPECT_TRUE(accepted({lookup({1, 10}, kA, 10), create({2, 9}, kA, 10)}));
  EXPECT_TRUE(accepted({refused(NameCall::lookup, {5, 10}, kA, ENOENT), create({2, 9}, kA, 10)}));
  EXPECT_TRUE(accepted({create({1, 10}, kA, 10), refused(NameCall::create, {2, 3}, kA, EEXIST),
                        unlink({4, 9}, kA, 10), create({5, 8}, kA, 11)}));
}

TEST(LinearizabilityTest, RejectsALookupThatIsOutOfDate) {
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), refused(NameCall::lookup, {3, 4}, kA, ENOENT)}));
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), unlink({3, 4}, kA, 10), lookup({5, 6}, kA, 10)}));
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), link({3, 4}, 10, kB, 2), lookup({5, 6}, kA, 10, 1)}));
  // Once somebody saw the file, nobody may see it absent.
  EXPECT_FALSE(accepted(
      {create({1, 20}, kA, 10), lookup({2, 3}, kA, 10), refused(NameCall::lookup, {4, 5}, kA, ENOENT)}));
}

TEST(LinearizabilityTest, RejectsAChangeThatIsLost) {
  EXPECT_FALSE(accepted(
      {create({1, 2}, kA, 10), unlink({3, 6}, kA, 10), refused(NameCall::create, {7, 8}, kA, EEXIST)}));
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), rename({3, 4}, kA, kB, 0, {.ino = 10, .nlink = 1}),
                         refused(NameCall::lookup, {5, 6}, kB, ENOENT)}));
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), link({3, 4}, 10, kB, 2), unlink({5, 6}, kA, 10),
                         of_inode(NameCall::getattr, {7, 8}, 10, kA, {.error = ENOENT})}));
}

TEST(LinearizabilityTest, RejectsAChangeThatIsDoneTwice) {
  EXPECT_FALSE(accepted({create({1, 10}, kA, 10), create({2, 9}, kA, 11)}));
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), unlink({3, 10}, kA, 10), unlink({4, 9}, kA, 10)}));
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), create({3, 4}, kB, 10)}));  // the same inode
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), rename({3, 10}, kA, kB, 0, {.ino = 10, .nlink = 1}),
                         rename({4, 9}, kA, kOther, 0, {.ino = 10, .nlink = 1})}));
}

TEST(LinearizabilityTest, RejectsAnErrorThatNothingExplains) {
  EXPECT_FALSE(accepted({refused(NameCall::create, {1, 2}, kA, EEXIST)}));
  EXPECT_FALSE(accepted({create({1, 2}, kA, 10), refused(NameCall::unlink, {3, 4}, kA, ENOENT)}));
  EXPECT_FALSE(accepted({refused(NameCall::open_or_create, {1, 2}, kA, ENOENT)}));
  EXPECT_FALSE(
      accepted({create({1, 2}, kA, 10), rename({3, 4}, kA, kB, kRenameNoReplace, {.error = EEXIST})}));
}

TEST(LinearizabilityTest, AnOperationOfUnknownOutcomeIsDoneOnceLaterOrNever) {
  const NameOp made = create({1, 2}, kA, 10);
  const NameOp maybe = refused(NameCall::unlink, {3, kNever}, kA, EINTR);
  EXPECT_TRUE(accepted({made, maybe, lookup({5, 6}, kA, 10)}));
  EXPECT_TRUE(accepted({made, maybe, refused(NameCall::lookup, {5, 6}, kA, ENOENT)}));
  EXPECT_TRUE(accepted({made, maybe, lookup({5, 6}, kA, 10), refused(NameCall::lookup, {7, 8}, kA, ENOENT)}));
  EXPECT_FALSE(
      accepted({made, maybe, refused(NameCall::lookup, {5, 6}, kA, ENOENT), lookup({7, 8}, kA, 10)}));
  EXPECT_FALSE(accepted({made, maybe, refused(NameCall::lookup, {5, 6}, kA, ENOENT), create({7, 8}, kA, 11),
                         refused(NameCall::lookup, {9, 10}, kA, ENOENT)}));
  EXPECT_FALSE(accepted({made, refused(NameCall::unlink, {5, kNever}, kA, EINTR),
                         refused(NameCall::lookup, {3, 4}, kA, ENOENT)}));  // before it was invoked
}

TEST(LinearizabilityTest, ACreateOfUnknownOutcomeMayHaveMadeTheInodeThatOthersSee) {
  const NameOp maybe = refused(NameCall::create, {1, kNever}, kA, EIO);
  EXPECT_TRUE(accepted({maybe, lookup({3, 4}, kA, 10), unlink({5, 6}, kA, 10)}));
  EXPECT_TRUE(accepted({maybe, refused(NameCall::create, {3, 4}, kA, EEXIST)}));
  EXPECT_TRUE(accepted(
      {maybe, create({3, 4}, kB, 11), rename({5, 6}, kB, kA, 0, {.ino = 11, .replaced = 10, .nlink = 1})}));
  EXPECT_FALSE(accepted({maybe, lookup({3, 4}, kB, 10)}));
  EXPECT_FALSE(accepted({maybe, lookup({3, 4}, kA, 10), unlink({5, 6}, kA, 10), lookup({7, 8}, kA, 10)}));
}

NameOp inside(NameOp op, Ino dir) {
  op.inside = dir;
  return op;
}

TEST(LinearizabilityTest, DirectoriesAreRemovedEmpty) {
  const NameOp made = op(NameCall::mkdir, {1, 2}, kA, {.ino = 10});
  const NameOp filled = inside(create({3, 4}, kA, 11), 10);
  EXPECT_TRUE(accepted({made, filled, refused(NameCall::rmdir, {5, 6}, kA, ENOTEMPTY),
                        refused(NameCall::unlink, {7, 8}, kA, EISDIR), inside(unlink({9, 10}, kA, 11), 10),
                        op(NameCall::rmdir, {11, 12}, kA, {.ino = 10}),
                        inside(refused(NameCall::create, {13, 14}, kA, ENOENT), 10)}));
  EXPECT_FALSE(accepted({made, filled, op(NameCall::rmdir, {5, 6}, kA, {.ino = 10})}));
  EXPECT_FALSE(accepted({made, refused(NameCall::rmdir, {3, 4}, kA, ENOTEMPTY)}));
  EXPECT_FALSE(accepted({made, op(NameCall::rmdir, {3, 6}, kA, {.ino = 10}),  // both say that they were done
                         inside(create({4, 5}, kA, 11), 10)}));
  EXPECT_FALSE(
      accepted({made, op(NameCall::rmdir, {3, 4}, kA, {.ino = 10}), inside(create({5, 6}, kA, 11), 10)}));
}

TEST(LinearizabilityTest, DirectoriesAndFilesDontReplaceEachOther) {
  const NameOp dir = op(NameCall::mkdir, {1, 2}, kA, {.ino = 10});
  const NameOp file = create({3, 4}, kB, 11);
  EXPECT_TRUE(accepted({dir, file, rename({5, 6}, kA, kB, 0, {.error = ENOTDIR}),
                        rename({7, 8}, kB, kA, 0, {.error = EISDIR}),
                        rename({9, 10}, kA, kB, kRenameExchange, {.ino = 10, .replaced = 11, .nlink = 2}),
                        lookup({11, 12}, kB, 10, 2), refused(NameCall::rmdir, {13, 14}, kA, ENOTDIR)}));
  EXPECT_FALSE(accepted({dir, file, rename({5, 6}, kA, kB, 0, {.ino = 10, .replaced = 11, .nlink = 2})}));
}

TEST(LinearizabilityTest, AWhiteoutIsAnInodeThatNobodyWasTold) {
  const NameOp made = create({1, 2}, kA, 10);
  const NameOp moved = rename({3, 4}, kA, kB, kRenameWhiteout, {.ino = 10, .nlink = 1});
  EXPECT_TRUE(accepted({made, moved, lookup({5, 6}, kA, 11),
                        refused(NameCall::open_or_create, {7, 8}, kA, EEXIST), unlink({9, 10}, kA, 11)}));
  EXPECT_FALSE(accepted({made, moved, refused(NameCall::lookup, {5, 6}, kA, ENOENT)}));
  EXPECT_FALSE(accepted({made, moved, lookup({5, 6}, kA, 11), lookup({7, 8}, kA, 12)}));
  EXPECT_FALSE(accepted({made, moved, lookup({5, 6}, kA, 10)}));
}

TEST(LinearizabilityTest, WhatLosesItsNameIsInTheTrash) {
  const NameHistory history = {create({1, 2}, kA, 10), unlink({3, 4}, kA, 10),
                               of_inode(NameCall::getattr, {5, 6}, 10, kA, {.ino = 10, .nlink = 1}),
                               link({7, 8}, 10, kB, 2)};
  EXPECT_FALSE(why_not_linearizable(history, true));
  EXPECT_TRUE(why_not_linearizable(history, false));
}

TEST(LinearizabilityTest, SaysWhatItRejected) {
  auto why = why_not_linearizable({create({1, 2}, kA, 10), refused(NameCall::lookup, {3, 4}, kA, ENOENT)});
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("[1, 2] client 0: create 0/a: ok, inode 10"), std::string::npos) << *why;
  EXPECT_NE(why->find("[3, 4] client 0: lookup 0/a: ENOENT"), std::string::npos) << *why;
}

}  // namespace
}  // namespace cider::meta::testing
