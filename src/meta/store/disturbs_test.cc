#include "meta/store/disturbs.h"

#include <gtest/gtest.h>

namespace cider::meta {
namespace {

TEST(Disturbs, ADirectorysTimesDisturbOnlyWhoLooksAtThem) {
  PatchNode touch{7};
  touch.touch = Time{1, 2};
  touch.nlink_delta = 1;
  EXPECT_FALSE(disturbs(touch, AttrRead{7, field::access}));
  EXPECT_TRUE(disturbs(touch, AttrRead{7, field::nlink}));
  EXPECT_TRUE(disturbs(touch, AttrRead{7, field::mtime}));
  EXPECT_TRUE(disturbs(touch, AttrRead{7, field::none, {}, field::all})) << "its caller is told";
  EXPECT_FALSE(disturbs(touch, AttrRead{8, field::all}));
  LookupRead found{1, "d", field::all};
  EXPECT_FALSE(disturbs(touch, found));
  found.value = Entry{7, FileType::directory};
  EXPECT_TRUE(disturbs(touch, found));
}

TEST(Disturbs, NamesDisturbThoseWhoLookForThemAndForEmptiness) {
  const InsertEntry made{1, "a", {7, FileType::file}};
  EXPECT_TRUE(disturbs(made, EntryRead{1, "a"}));
  EXPECT_TRUE(disturbs(made, LookupRead{1, "a"}));
  EXPECT_FALSE(disturbs(made, EntryRead{1, "b"}));
  EXPECT_FALSE(disturbs(made, EntryRead{2, "a"}));
  EXPECT_TRUE(disturbs(made, DirEmptyRead{1}));
  EXPECT_FALSE(disturbs(made, DirEmptyRead{7}));
  EXPECT_TRUE(disturbs(made, ParentsRead{7}));
  EXPECT_TRUE(disturbs(DeleteEntry{1, "a", {7, FileType::file}}, ParentsRead{7}));
}

TEST(Disturbs, InodesThatComeOrGo) {
  EXPECT_TRUE(disturbs(InsertNode{7}, AttrRead{7, field::none}));
  EXPECT_TRUE(disturbs(DeleteNode{7}, XattrRead{7, "user.a"}));
  EXPECT_FALSE(disturbs(DeleteNode{7}, AttrRead{8, field::all}));
}

TEST(Disturbs, ChunksAndReferences) {
  EXPECT_TRUE(disturbs(AppendSlices{7, 0}, ChunkRead{7, 0}));
  EXPECT_FALSE(disturbs(AppendSlices{7, 0}, ChunkRead{8, 0}));
  EXPECT_TRUE(disturbs(AddSliceRef{5}, SliceRefRead{5}));
  EXPECT_FALSE(disturbs(AddUsage{1, 1}, UsageRead{}));
}

}  // namespace
}  // namespace cider::meta
