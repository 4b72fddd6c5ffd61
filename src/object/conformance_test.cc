// What every store promises, run over each of them.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

#include "object/object_store.h"
#include "object/testing/stores.h"
#include "object/testing/temp_dir.h"

namespace cider::object {
namespace {

using testing::chain;
using testing::keys_of;

class StoreTest : public ::testing::TestWithParam<testing::StoreUnderTest> {
 protected:
  void SetUp() override {
    auto opened = GetParam().open(dir_.path());
    if (code_of(opened) == ENODEV) GTEST_SKIP() << opened.error().message;
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = std::move(*opened);
    ASSERT_TRUE(store_->create());
    ASSERT_TRUE(store_->create());  // there already
    ASSERT_TRUE(store_->check_bucket());
  }

  std::string get(std::string_view key, uint64_t off, size_t len) {
    std::string bytes(len, '?');
    Status status = store_->get(key, off, std::as_writable_bytes(std::span(bytes)), {});
    return status ? bytes : "error " + std::to_string(status.error().code);
  }

  testing::TempDir dir_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(StoreTest, StoresPiecesInOrderAndReadsRanges) {
  ASSERT_TRUE(store_->put("chunks/0/0/1_0_11", chain({"hello", " ", "", "world"}), {}));
  EXPECT_EQ(*store_->get_all("chunks/0/0/1_0_11", 100, {}), "hello world");
  EXPECT_EQ(get("chunks/0/0/1_0_11", 0, 11), "hello world");
  EXPECT_EQ(get("chunks/0/0/1_0_11", 6, 3), "wor");
  EXPECT_EQ(store_->head("chunks/0/0/1_0_11")->size, 11u);
  EXPECT_EQ(store_->head("chunks/0/0/1_0_11")->key, "chunks/0/0/1_0_11");
  EXPECT_GT(store_->head("chunks/0/0/1_0_11")->mtime.sec, 1'000'000'000);
}

TEST_P(StoreTest, ManyPiecesAndLargeObjects) {
  BufferChain many;
  std::string expected;
  for (int i = 0; i < 3000; i++) {
    std::string piece(static_cast<size_t>(i % 700), static_cast<char>('a' + i % 26));
    expected += piece;
    for (const Buffer& b : chain({piece})) many.push_back(b);
  }
  ASSERT_TRUE(store_->put("big", many, {}));
  EXPECT_EQ(*store_->get_all("big", expected.size(), {}), expected);
}

TEST_P(StoreTest, EmptyObject) {
  ASSERT_TRUE(store_->put("empty", {}, {}));
  EXPECT_EQ(store_->head("empty")->size, 0u);
  EXPECT_EQ(*store_->get_all("empty", 0, {}), "");
}

TEST_P(StoreTest, PutReplaces) {
  ASSERT_TRUE(store_->put("k", chain({"first, longer"}), {}));
  ASSERT_TRUE(store_->put("k", chain({"second"}), {}));
  EXPECT_EQ(*store_->get_all("k", 100, {}), "second");
}

TEST_P(StoreTest, MissingObjects) {
  EXPECT_EQ(get("a/b", 0, 1), "error " + std::to_string(ENOENT));
  EXPECT_EQ(code_of(store_->get_all("a/b", 1, {})), ENOENT);
  EXPECT_EQ(code_of(store_->head("a/b")), ENOENT);
  EXPECT_TRUE(store_->remove("a/b"));
  ASSERT_TRUE(store_->put("a", chain({"x"}), {}));
  EXPECT_EQ(code_of(store_->head("a/b")), ENOENT);  // "a" is an object, nothing is below it
  EXPECT_TRUE(store_->remove("a/b"));
}

TEST_P(StoreTest, RemoveDeletes) {
  ASSERT_TRUE(store_->put("a/b", chain({"x"}), {}));
  ASSERT_TRUE(store_->remove("a/b"));
  EXPECT_EQ(code_of(store_->head("a/b")), ENOENT);
}

TEST_P(StoreTest, ShortObjectIsAnError) {
  ASSERT_TRUE(store_->put("k", chain({"12345"}), {}));
  std::string bytes(6, '?');
  Status status = store_->get("k", 0, std::as_writable_bytes(std::span(bytes)), {});
  EXPECT_EQ(code_of(status), EIO);
  EXPECT_NE(status.error().message.find("has 5 bytes, wanted 6"), std::string::npos)
      << status.error().message;
  EXPECT_EQ(get("k", 10, 1), "error " + std::to_string(EIO));
  EXPECT_EQ(code_of(store_->get_all("k", 4, {})), EFBIG);
}

TEST_P(StoreTest, RefusesKeysThatLeaveTheBucket) {
  for (std::string key : {"", "/etc/passwd", "../x", "a/../../x", "a/..", ".", "a//b", "a/./b", "a/"}) {
    EXPECT_EQ(code_of(store_->put(key, chain({"x"}), {})), EINVAL) << key;
    EXPECT_EQ(code_of(store_->head(key)), EINVAL) << key;
    EXPECT_EQ(code_of(store_->remove(key)), EINVAL) << key;
    EXPECT_EQ(get(key, 0, 1), "error " + std::to_string(EINVAL)) << key;
  }
  EXPECT_EQ(code_of(store_->head(std::string_view("a\0b", 3))), EINVAL);
}

TEST_P(StoreTest, ListsInOrderOfKeyBytes) {
  // '-' and '.' sort before '/', digits after it: a walk that sorts names of folders without the slash gets
  // this wrong.
  std::set<std::string> keys = {"a-b", "a.txt", "a/b", "a/c/d", "a0", "ab",
                                "b/1", "b/10",  "b/2", "c",     "Z",  "a/\xc3\xa9"};
  for (const std::string& key : keys) ASSERT_TRUE(store_->put(key, chain({key}), {}));
  EXPECT_EQ(keys_of(*store_->list("", "", 100)), std::vector<std::string>(keys.begin(), keys.end()));
  EXPECT_EQ(keys_of(*store_->list("a/", "", 100)), (std::vector<std::string>{"a/b", "a/c/d", "a/\xc3\xa9"}));
  EXPECT_EQ(keys_of(*store_->list("b/1", "", 100)), (std::vector<std::string>{"b/1", "b/10"}));
  EXPECT_EQ(keys_of(*store_->list("", "a/c/d", 2)), (std::vector<std::string>{"a/\xc3\xa9", "a0"}));
  EXPECT_TRUE(store_->list("nothing/here", "", 10)->empty());
  EXPECT_TRUE(store_->list("", "zzz", 10)->empty());
  EXPECT_TRUE(store_->list("", "", 0)->empty());
  EXPECT_EQ(store_->list("c", "", 1)->at(0).size, 1u);
  // Page by page comes to the same.
  std::vector<std::string> paged;
  std::string after;
  while (true) {
    auto page = *store_->list("", after, 3);
    if (page.empty()) break;
    for (const ObjectInfo& info : page) paged.push_back(info.key);
    after = paged.back();
  }
  EXPECT_EQ(paged, std::vector<std::string>(keys.begin(), keys.end()));
}

TEST_P(StoreTest, ListsRandomKeysLikeASet) {
  std::mt19937 random(1);
  auto part = [&] {
    std::string s;
    do s += "-./0a_~"[random() % 7];
    while (random() % 2);
    for (char& c : s)
      if (c == '/') c = 'b';
    return s == "." || s == ".." ? std::string("x") : s;
  };
  std::set<std::string> keys;
  for (int i = 0; i < 300; i++) {
    std::string key = part();
    for (unsigned depth = random() % 3; depth > 0; depth--) key += "/" + part();
    if (store_->put(key, chain({"v"}), {}))
      keys.insert(key);  // not where a folder and a file would have one name
  }
  std::erase_if(keys, [&](const std::string& key) { return !store_->head(key); });
  for (std::string prefix : {"", "a", "0/", ".", "-/a"}) {
    for (std::string after : {"", "a", "-./", "0/a", "~"}) {
      std::vector<std::string> expected;
      for (const std::string& key : keys) {
        if (key.starts_with(prefix) && key > after) expected.push_back(key);
      }
      EXPECT_EQ(keys_of(*store_->list(prefix, after, 1000)), expected) << prefix << " after " << after;
    }
  }
}

TEST_P(StoreTest, SyncAcceptsWhatIsThereAndWhatIsNot) {
  ASSERT_TRUE(store_->put("chunks/0/0/1_0_1", chain({"x"}), {}));
  ASSERT_TRUE(store_->put("chunks/0/1/1000_0_1", chain({"x"}), {}));
  std::vector<std::string> keys = {"chunks/0/0/1_0_1", "chunks/0/1/1000_0_1", "chunks/0/0/gone"};
  EXPECT_TRUE(store_->sync(keys));
  EXPECT_TRUE(store_->sync(keys));
  EXPECT_TRUE(store_->sync({}));
}

TEST_P(StoreTest, ReadersSeeWholeObjectsOnly) {
  ASSERT_TRUE(store_->put("k", chain({std::string(100'000, 'a')}), {}));
  std::jthread writer([&](std::stop_token stop) {
    for (char c = 'b'; !stop.stop_requested(); c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
      ASSERT_TRUE(store_->put("k", chain({std::string(100'000, c)}), {}));
    }
  });
  for (int i = 0; i < 300; i++) {
    std::string bytes = *store_->get_all("k", 1 << 20, {});
    ASSERT_EQ(bytes.size(), 100'000u);
    ASSERT_EQ(bytes.find_first_not_of(bytes[0]), std::string::npos);
  }
}

std::string test_name(const ::testing::TestParamInfo<testing::StoreUnderTest>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(All, StoreTest, ::testing::ValuesIn(testing::stores_under_test()), test_name);

}  // namespace
}  // namespace cider::object
