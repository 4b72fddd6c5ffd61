#include "meta/store/redis/client_cache.h"

#include <gtest/gtest.h>

#include <thread>

namespace cider::meta::redis {
namespace {

constexpr Ino kDir = 1;
constexpr Ino kFile = 12;

std::string record_of(Ino ino) {
  return encode_entry({ino, FileType::file});
}

class ClientCacheTest : public ::testing::Test {
 protected:
  void SetUp() override { trust(cache_); }
  static void trust(ClientCache& cache) { cache.told_until(Monotonic::now() + std::chrono::hours(1)); }

  // The server is asked, and answers.
  void read_attr(const std::string& record, ClientCache::Moment asked) {
    cache_.fill(AttrRead{.ino = kFile}, {record}, asked);
  }
  void read_attr(const std::string& record) { read_attr(record, cache_.now()); }
  void read_entry(const std::string& name, const Record& record) {
    cache_.fill(EntryRead{kDir, name, {}}, {record}, cache_.now());
  }
  // "-": not known.
  std::string attr() {
    auto known = cache_.recall(AttrRead{.ino = kFile});
    return known ? known->front().value_or("absent") : "-";
  }
  std::string entry(const std::string& name) {
    auto known = cache_.recall(EntryRead{kDir, name, {}});
    return known ? known->front().value_or("absent") : "-";
  }

  ClientCache cache_{1000, std::chrono::hours(1)};
};

TEST_F(ClientCacheTest, holds_until_it_is_told_of_a_change) {
  EXPECT_EQ(attr(), "-");
  read_attr("one");
  read_entry("a", record_of(kFile));
  read_entry("b", std::nullopt);
  EXPECT_EQ(attr(), "one");
  EXPECT_EQ(entry("a"), record_of(kFile));
  EXPECT_EQ(entry("b"), "absent");
  cache_.changed("i12");
  EXPECT_EQ(attr(), "-");
  EXPECT_EQ(entry("a"), record_of(kFile)) << "the name did not change";
  cache_.changed("d1");
  EXPECT_EQ(entry("a"), "-");
  EXPECT_EQ(entry("b"), "-");
  read_attr("two");
  EXPECT_EQ(attr(), "two");
}

TEST_F(ClientCacheTest, passes_over_keys_that_are_not_its_own) {
  read_attr("one");
  for (const char* key : {"", "i", "i13", "i12x", "d12", "dirUsedSpace", "x12", "delfiles"})
    cache_.changed(key);
  EXPECT_EQ(attr(), "one");
}

// Another client has put another file there, and the word of that is on its way.
TEST_F(ClientCacheTest, a_name_whose_inode_is_gone_is_asked_for) {
  const LookupRead lookup{.parent = kDir, .name = "a"};
  read_entry("a", record_of(kFile));
  cache_.fill(AttrRead{.ino = kFile}, {std::nullopt}, cache_.now());
  EXPECT_EQ(attr(), "absent");
  EXPECT_EQ(cache_.recall(lookup), std::nullopt);
}

TEST_F(ClientCacheTest, lookup_needs_the_name_and_the_inode) {
  const LookupRead lookup{.parent = kDir, .name = "a"};
  cache_.fill(lookup, {record_of(kFile), "one"}, cache_.now());
  EXPECT_EQ(attr(), "one");
  EXPECT_EQ(cache_.recall(lookup), (Answer{record_of(kFile), "one"}));
  cache_.changed("i12");
  EXPECT_EQ(cache_.recall(lookup), std::nullopt);
  read_attr("two");
  EXPECT_EQ(cache_.recall(lookup), (Answer{record_of(kFile), "two"}));
  cache_.fill(LookupRead{.parent = kDir, .name = "b"}, {std::nullopt, std::nullopt}, cache_.now());
  EXPECT_EQ(cache_.recall(LookupRead{.parent = kDir, .name = "b"}), (Answer{std::nullopt, std::nullopt}));
}

// The reply was on its way when the word of the change overtook it.
TEST_F(ClientCacheTest, what_was_asked_before_a_change_is_not_believed) {
  const auto asked = cache_.now();
  cache_.changed("i12");
  read_attr("before or after", asked);
  EXPECT_EQ(attr(), "-");
  read_attr("before or after");
  EXPECT_EQ(attr(), "before or after");
}

// One who was told "new" must not be told "old" afterwards, whichever reply came first.
TEST_F(ClientCacheTest, replies_that_differ_cancel_each_other) {
  const auto asked = cache_.now();
  read_attr("new", asked);
  read_attr("old", asked);
  EXPECT_EQ(attr(), "-");
  read_attr("old", asked);
  EXPECT_EQ(attr(), "-") << "asked before the replies were seen to differ";
}

TEST_F(ClientCacheTest, a_reply_that_is_not_believed_still_bears_witness) {
  const auto asked_first = cache_.now();
  cache_.changed("i12");
  const auto asked_later = cache_.now();
  read_attr("new", asked_first);
  read_attr("old", asked_later);
  EXPECT_EQ(attr(), "-");

  read_attr("new", asked_later);
  cache_.changed("i12");
  read_attr("newer");
  EXPECT_EQ(attr(), "newer") << "what is known to be old bears no witness";
}

TEST_F(ClientCacheTest, own_commits_and_locks_make_it_forget) {
  read_attr("one");
  cache_.forget(PatchNode{.ino = kFile});
  EXPECT_EQ(attr(), "-");
  read_attr("one");
  cache_.forget(DeleteNode{kFile});
  EXPECT_EQ(attr(), "-");
  read_attr("one");
  cache_.forget(PutPlock{kFile, {}});
  EXPECT_EQ(attr(), "-") << "what others wrote under the lock";
  for (const WriteItem& item : {WriteItem(InsertEntry{.parent = kDir, .name = "a"}),
                                WriteItem(ReplaceEntry{.parent = kDir, .name = "a"}),
                                WriteItem(DeleteEntry{.parent = kDir, .name = "a"})}) {
    read_entry("a", record_of(kFile));
    EXPECT_EQ(entry("a"), record_of(kFile));
    cache_.forget(item);
    EXPECT_EQ(entry("a"), "-");
  }
}

TEST_F(ClientCacheTest, nothing_counts_when_no_word_comes_any_more) {
  const auto asked = cache_.now();
  read_attr("one");
  cache_.told_until(Monotonic::now() - ClientCache::kTrust);
  EXPECT_EQ(attr(), "-") << "the server was silent for too long";
  trust(cache_);
  EXPECT_EQ(attr(), "one") << "but has told of no change";
  cache_.lost();
  EXPECT_EQ(attr(), "-");
  trust(cache_);
  EXPECT_EQ(attr(), "-") << "there may have been changes meanwhile";
  read_attr("one", asked);
  EXPECT_EQ(attr(), "-");
  read_attr("one");
  EXPECT_EQ(attr(), "one");
  cache_.all_changed();
  EXPECT_EQ(attr(), "-");
}

TEST_F(ClientCacheTest, is_bounded_in_size_and_time) {
  ClientCache small(20, Millis(1));
  trust(small);
  ClientCache large(20, std::chrono::hours(1));
  trust(large);
  for (Ino ino = 1; ino <= 1000; ++ino) {
    small.fill(AttrRead{.ino = ino}, {"x"}, small.now());
    large.fill(AttrRead{.ino = ino}, {"x"}, large.now());
  }
  std::this_thread::sleep_for(Millis(5));
  size_t held = 0;
  for (Ino ino = 1; ino <= 1000; ++ino) {
    EXPECT_FALSE(small.recall(AttrRead{.ino = ino}));
    if (large.recall(AttrRead{.ino = ino})) ++held;
  }
  EXPECT_LE(held, 20u);
  EXPECT_GT(held, 10u);
}

}  // namespace
}  // namespace cider::meta::redis
