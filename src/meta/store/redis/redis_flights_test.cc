// How many round trips operations take: one each, once the kernel has looked up what they name. Every command
// on the wire is counted; two in one flight would count as two.
#include <gtest/gtest.h>

#include "meta/store/redis/keys.h"
#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

class RedisFlightsTest : public testing::RedisTest {
 protected:
  void SetUp() override {
    RedisTest::SetUp();
    a_->stop();
    a_ = client_of(proxy_.url(kDb), 0);  // no deletions in the background
    file("warm");                        // inode and slice numbers are taken by the thousand
    ASSERT_TRUE(a_->next_slice_id());
  }

  // What the kernel asks before it names an entry in a system call.
  void kernel_lookup(Ino parent, const std::string& name) {
    (void)a_->getattr(parent);
    (void)a_->lookup(Caller{}, parent, name);
  }
  template <class Operation>
  uint64_t flights(Operation operation) {
    uint64_t before = proxy_.commands();
    auto done = operation();
    EXPECT_TRUE(done) << done.error().to_string();
    return proxy_.commands() - before;
  }

  const Caller root_;
};

TEST_F(RedisFlightsTest, NamesOthersMade) {
  Ino dir = b_->mknod(Caller{}, kRootIno, "dir", NewNode{FileType::directory, 0755, 0, {}})->ino;
  for (const char* name : {"gone", "moved", "replaced", "linked"}) {
    ASSERT_TRUE(b_->mknod(Caller{}, dir, name, NewNode{}));
  }
  ASSERT_TRUE(b_->mknod(Caller{}, dir, "sub", NewNode{FileType::directory, 0755, 0, {}}));

  kernel_lookup(dir, "new");
  EXPECT_EQ(flights([&] { return a_->mknod(root_, dir, "new", NewNode{}); }), 1u);
  kernel_lookup(dir, "opened");
  bool created = false;
  EXPECT_EQ(flights([&] { return a_->create(root_, dir, "opened", 0644, true, &created); }), 1u);
  kernel_lookup(dir, "newdir");
  EXPECT_EQ(
      flights([&] { return a_->mknod(root_, dir, "newdir", NewNode{FileType::directory, 0755, 0, {}}); }),
      1u);
  kernel_lookup(dir, "newlink");
  EXPECT_EQ(
      flights([&] { return a_->mknod(root_, dir, "newlink", NewNode{FileType::symlink, 0777, 0, "x"}); }),
      1u);
  kernel_lookup(dir, "gone");
  EXPECT_EQ(flights([&] { return a_->unlink(root_, dir, "gone"); }), 1u);
  kernel_lookup(dir, "sub");
  EXPECT_EQ(flights([&] { return a_->rmdir(root_, dir, "sub"); }), 2u) << "is it empty?";
  kernel_lookup(dir, "moved");
  kernel_lookup(dir, "elsewhere");
  EXPECT_EQ(flights([&] { return a_->rename(root_, dir, "moved", dir, "elsewhere", 0); }), 1u);
  kernel_lookup(dir, "replaced");
  EXPECT_EQ(flights([&] { return a_->rename(root_, dir, "elsewhere", dir, "replaced", 0); }), 1u);
  Ino linked = a_->lookup(root_, dir, "linked")->ino;
  kernel_lookup(dir, "second");
  EXPECT_EQ(flights([&] { return a_->link(root_, linked, dir, "second"); }), 1u);
}

// Who names a new file by its path does not look it up before.
TEST_F(RedisFlightsTest, NewNamesThatNobodyLookedUp) {
  Ino dir = a_->mknod(root_, kRootIno, "dir", NewNode{FileType::directory, 0755, 0, {}})->ino;
  EXPECT_EQ(flights([&] { return a_->mknod(root_, dir, "new", NewNode{}); }), 1u);
  Ino ino = a_->mknod(root_, dir, "other", NewNode{})->ino;
  EXPECT_EQ(flights([&] { return a_->link(root_, ino, dir, "second"); }), 1u);
  ASSERT_TRUE(b_->mknod(root_, dir, "taken", NewNode{}));
  const uint64_t before = proxy_.commands();
  EXPECT_EQ(a_->mknod(root_, dir, "taken", NewNode{}).error().code, EEXIST);
  EXPECT_EQ(proxy_.commands() - before, 1u) << "the script's refusal tells why";
}

TEST_F(RedisFlightsTest, PathsOfAnyDepth) {
  Ino dir = kRootIno;
  for (const char* name : {"a", "b", "c"})
    dir = b_->mknod(root_, dir, name, NewNode{FileType::directory, 0755, 0, {}})->ino;
  const Ino ino = b_->mknod(root_, dir, "f", NewNode{})->ino;
  Node found;
  EXPECT_EQ(flights([&]() -> Status {
              found = TRY(a_->resolve(root_, kRootIno, "/a/b//c/f"));
              return {};
            }),
            1u);
  EXPECT_EQ(found.ino, ino);
}

TEST_F(RedisFlightsTest, Inodes) {
  Ino ino = b_->mknod(Caller{}, kRootIno, "f", NewNode{})->ino;
  EXPECT_EQ(flights([&] { return a_->lookup(root_, kRootIno, "f"); }), 1u);
  EXPECT_EQ(flights([&] { return a_->getattr(ino); }), 1u);
  EXPECT_EQ(flights([&] { return a_->setattr(root_, ino, {.mode = uint16_t{0600}}); }), 1u);
  uint64_t id = a_->next_slice_id().value();
  ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
  EXPECT_EQ(flights([&] { return a_->write(ino, std::span(&slice, 1), Time{1, 0}); }), 1u);
  EXPECT_EQ(flights([&] { return a_->truncate(root_, ino, 100, true, false); }), 1u);
  EXPECT_EQ(flights([&] { return a_->chunk(ino, 0); }), 1u);
}

// An absent name is as cheap to ask for, and is believed only with the server's word.
TEST_F(RedisFlightsTest, ErrorsCostNoMoreThanAnotherFlight) {
  kernel_lookup(kRootIno, "absent");
  uint64_t before = proxy_.commands();
  EXPECT_EQ(unlink(*a_, "absent"), ENOENT);
  EXPECT_EQ(proxy_.commands() - before, 1u);
  ASSERT_TRUE(b_->mknod(Caller{}, kRootIno, "absent", NewNode{}));
  before = proxy_.commands();
  EXPECT_EQ(unlink(*a_, "absent"), 0) << "the hint was stale";
  EXPECT_EQ(proxy_.commands() - before, 2u);
}

// In a directory where names are looked up to be made, nobody asks for inodes.
TEST_F(RedisFlightsTest, NamesThatAreToBeMadeAreLookedUpByTheEntryAlone) {
  Ino dir = b_->mknod(Caller{}, kRootIno, "d", NewNode{FileType::directory, 0755, 0, {}})->ino;
  ASSERT_TRUE(b_->mknod(Caller{}, dir, "there", NewNode{}));
  for (int i = 0; i < 8; ++i) EXPECT_FALSE(a_->lookup(root_, dir, "new" + std::to_string(i)));
  ASSERT_TRUE(direct_->run("CONFIG", "RESETSTAT"));
  EXPECT_FALSE(a_->lookup(root_, dir, "new8"));
  const std::string calls(direct_->run("INFO", "commandstats")->text());
  EXPECT_TRUE(calls.contains("cmdstat_hget:calls=1,")) << calls;
  EXPECT_FALSE(calls.contains("cmdstat_evalsha")) << calls;

  EXPECT_EQ(flights([&] { return a_->lookup(root_, dir, "there"); }), 2u);
  EXPECT_EQ(flights([&] { return a_->lookup(root_, dir, "there"); }), 1u);
}

TEST_F(RedisFlightsTest, TheDataOfEmptyFilesIsLookedForInFewCommands) {
  constexpr int kFiles = 100;
  auto c = client_of(proxy_.url(kDb));
  for (int i = 0; i < kFiles; ++i) file(std::to_string(i));
  const uint64_t before = proxy_.commands();
  for (int i = 0; i < kFiles; ++i) ASSERT_TRUE(c->unlink(root_, kRootIno, std::to_string(i)));
  c->stop();
  EXPECT_EQ(direct_->run("ZCARD", redis::kDeletedFiles)->integer(), 0);
  // An unlink that finds nothing known has two flights; a batch of files makes one commit.
  EXPECT_LT(proxy_.commands() - before, kFiles * (2 + 2 + 1) + 20);
}

// Entries with their attributes: one page of names, one of attributes.
TEST_F(RedisFlightsTest, ListingsAskByThePage) {
  Ino dir = a_->mknod(root_, kRootIno, "d", NewNode{FileType::directory, 0755, 0, {}})->ino;
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(a_->mknod(root_, dir, std::to_string(i), NewNode{}));
  DirCursor cursor;
  size_t seen = 0;
  uint64_t before = proxy_.commands();
  while (!cursor.at_end) {
    auto page = a_->list_dir(dir, &cursor, 1000, true);
    ASSERT_TRUE(page);
    seen += page->size();
  }
  EXPECT_EQ(seen, 500u);
  EXPECT_LE(proxy_.commands() - before, 3u);
}

}  // namespace
}  // namespace cider::meta
