#include "meta/store/memory/memory_store.h"

#include <gtest/gtest.h>

namespace cider::meta {
namespace {

// Two inodes, and a rival client that commits between the reads of an operation or before its commit.
class MemoryStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    Attr root;
    root.type = FileType::directory;
    root.nlink = 2;
    ASSERT_TRUE(store_.create_volume("{}", root, {}));
    for (Ino ino : {2, 3}) {
      ASSERT_TRUE(run([&](Transaction& tx) -> Status {
        tx.write(InsertNode{ino, Attr{}});
        return {};
      }));
    }
  }

  void set_mode(Ino ino, uint16_t mode) {
    Attr values;
    values.mode = mode;
    ASSERT_TRUE(run([&](Transaction& tx) -> Status {
      tx.write(PatchNode{.ino = ino, .set = field::mode, .values = values});
      return {};
    }));
  }

  uint16_t mode(Ino ino) {
    uint16_t mode = 0;
    EXPECT_TRUE(store_.read(
        [&](Transaction& tx) -> Status {
          AttrRead& seen = tx.attr(ino, field::all);
          TRY(tx.fetch());
          mode = seen.value->mode;
          return {};
        },
        {}));
    return mode;
  }

  Status run(Operation operation) { return store_.run(operation, {}); }

  MemoryStore store_;
};

TEST_F(MemoryStoreTest, an_operation_runs_again_when_what_it_read_has_changed) {
  int runs = 0;
  Status done = run([&](Transaction& tx) -> Status {
    AttrRead& seen = tx.attr(2, field::mode);
    TRY(tx.fetch());
    if (runs++ == 0) set_mode(2, 0640);
    Attr values;
    values.mode = seen.value->mode | 1;
    tx.write(PatchNode{.ino = 2, .set = field::mode, .values = values});
    return {};
  });
  EXPECT_TRUE(done);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(mode(2), 0641);
  EXPECT_EQ(store_.conflicts(), 1U);
}

TEST_F(MemoryStoreTest, a_change_of_other_fields_is_no_conflict) {
  int runs = 0;
  EXPECT_TRUE(run([&](Transaction& tx) -> Status {
    tx.attr(2, field::uid);
    TRY(tx.fetch());
    if (runs++ == 0) set_mode(2, 0640);
    return {};
  }));
  EXPECT_EQ(runs, 1);
}

TEST_F(MemoryStoreTest, an_error_is_checked_like_a_success) {
  int runs = 0;
  Status done = run([&](Transaction& tx) -> Status {
    AttrRead& seen = tx.attr(2, field::mode);
    TRY(tx.fetch());
    if (seen.value->mode == 0640) return {};
    if (runs++ == 0) set_mode(2, 0640);
    return fail(EACCES);
  });
  EXPECT_TRUE(done);
}

TEST_F(MemoryStoreTest, a_question_that_was_not_sent_is_no_conflict) {
  int runs = 0;
  Status done = run([&](Transaction& tx) -> Status {
    tx.attr(2, field::all);
    TRY(tx.fetch());
    tx.attr(3, field::all);
    return ++runs < 5 ? fail(EACCES) : Status{};
  });
  EXPECT_EQ(done.error().code, EACCES);
  EXPECT_EQ(runs, 1);
}

TEST_F(MemoryStoreTest, an_inode_number_is_given_once) {
  Status done = run([&](Transaction& tx) -> Status {
    tx.write(InsertNode{2, Attr{}});
    return {};
  });
  EXPECT_EQ(done.error().code, kInodeTaken);
}

}  // namespace
}  // namespace cider::meta
