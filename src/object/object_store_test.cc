// What every store promises, run over each of them; then what is particular to `file`.
#include "object/object_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "object/testing/faulty_store.h"

namespace cider::object {
namespace {

namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string path = (fs::temp_directory_path() / "object_test.XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~TempDir() { fs::remove_all(path_); }
  std::string path() const { return path_; }

 private:
  std::string path_;
};

BufferChain chain(std::initializer_list<std::string_view> pieces) {
  BufferChain out;
  for (std::string_view piece : pieces) {
    Buffer buffer = Buffer::allocate(piece.size(), nullptr);
    std::memcpy(buffer.mutable_data(), piece.data(), piece.size());
    out.push_back(buffer);
  }
  return out;
}

std::vector<std::string> keys_of(const std::vector<ObjectInfo>& infos) {
  std::vector<std::string> keys;
  for (const ObjectInfo& info : infos) keys.push_back(info.key);
  return keys;
}

class StoreTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string kind = GetParam();
    bool prefixed = kind.starts_with("prefixed ");
    auto opened = open_store({prefixed ? kind.substr(9) : kind, dir_.path() + "/bucket/"});
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = std::move(*opened);
    if (prefixed) store_ = with_prefix(std::move(store_), "vol/");
    ASSERT_TRUE(store_->create());
    ASSERT_TRUE(store_->create());  // there already
    ASSERT_TRUE(store_->check_bucket());
  }

  std::string get(std::string_view key, uint64_t off, size_t len) {
    std::string bytes(len, '?');
    Status status = store_->get(key, off, std::as_writable_bytes(std::span(bytes)), {});
    return status ? bytes : "error " + std::to_string(status.error().code);
  }

  TempDir dir_;
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

std::string test_name(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, StoreTest, ::testing::Values("mem", "file", "prefixed mem", "prefixed file"),
                         test_name);

TEST(OpenStore, UnknownStorageNamesThoseThatWork) {
  auto store = open_store({"s3x", "bucket"});
  EXPECT_EQ(code_of(store), EINVAL);
  EXPECT_NE(store.error().message.find("file, mem"), std::string::npos) << store.error().message;
  EXPECT_EQ(code_of(open_store({"file", "relative/path"})), EINVAL);
  EXPECT_EQ(code_of(open_store({"file", ""})), EINVAL);
  EXPECT_EQ((*open_store({"file", "file:///var/data"}))->name(), "file:///var/data/");
}

class FileStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = std::move(*open_store({"file", "file://" + dir_.path() + "/bucket"}));
    ASSERT_TRUE(store_->create());
  }
  fs::path at(const std::string& key) const { return fs::path(dir_.path()) / "bucket" / key; }

  TempDir dir_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(FileStoreTest, TheKeyIsThePathAndNothingElseIsLeft) {
  ASSERT_TRUE(store_->put("vol/chunks/0/0/1_0_5", chain({"hello"}), {}));
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir_.path())) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  EXPECT_EQ(files, std::vector<std::string>{at("vol/chunks/0/0/1_0_5")});
}

TEST_F(FileStoreTest, ModesFollowTheUmask) {
  mode_t before = ::umask(022);
  ASSERT_TRUE(store_->put("d/k", chain({"x"}), {}));
  ::umask(before);
  struct stat st;
  ASSERT_EQ(::stat(at("d/k").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0644u);
  ASSERT_EQ(::stat(at("d").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0755u);
}

// Linux reports a lost write once; what it dropped must not count as synced the next time.
TEST_F(FileStoreTest, AFailedSyncIsRememberedUntilTheObjectIsPutAgain) {
  ASSERT_TRUE(store_->put("a/good", chain({"1"}), {}));
  std::vector<std::string> keys = {"a/bad", "a/good"};
  fs::create_symlink("/proc/version", at("a/bad"));  // a file that cannot be synced
  EXPECT_EQ(code_of(store_->sync(keys)), EINVAL);
  fs::copy_file(at("a/good"), at("a/other"));
  fs::rename(at("a/other"), at("a/bad"));  // one that can
  EXPECT_EQ(code_of(store_->sync(keys)), EIO);
  EXPECT_EQ(code_of(store_->sync(keys)), EIO);
  std::vector<std::string> good = {"a/good"};
  EXPECT_TRUE(store_->sync(good));
  ASSERT_TRUE(store_->put("a/bad", chain({"2"}), {}));
  EXPECT_TRUE(store_->sync(keys));
}

TEST_F(FileStoreTest, FoldersAreMadeAgainWhenTheyVanish) {
  ASSERT_TRUE(store_->put("a/b/c", chain({"1"}), {}));
  std::vector<std::string> keys = {"a/b/c"};
  ASSERT_TRUE(store_->sync(keys));
  fs::remove_all(at("a"));
  ASSERT_TRUE(store_->put("a/b/c", chain({"2"}), {}));
  ASSERT_TRUE(store_->sync(keys));
  EXPECT_EQ(*store_->get_all("a/b/c", 10, {}), "2");
}

TEST_F(FileStoreTest, RemovesEmptyFoldersOfOneVolumeOnly) {
  auto volume = with_prefix(*open_store({"file", dir_.path()}), "vol/");
  for (const char* key : {"chunks/0/0/1_0_5", "chunks/0/1/2_0_5", "uuid"})
    ASSERT_TRUE(volume->put(key, chain({"abc"}), {}));
  fs::create_directories(dir_.path() + "/volume2/empty");
  ASSERT_TRUE(volume->remove("chunks/0/0/1_0_5"));
  ASSERT_TRUE(volume->remove_empty_folders(""));
  EXPECT_FALSE(fs::exists(dir_.path() + "/vol/chunks/0/0"));
  EXPECT_TRUE(fs::exists(dir_.path() + "/vol/chunks/0/1/2_0_5"));
  for (const char* key : {"chunks/0/1/2_0_5", "uuid"}) ASSERT_TRUE(volume->remove(key));
  ASSERT_TRUE(volume->remove_empty_folders(""));
  EXPECT_FALSE(fs::exists(dir_.path() + "/vol"));
  EXPECT_TRUE(fs::exists(dir_.path() + "/volume2/empty"));
  EXPECT_TRUE(volume->remove_empty_folders(""));  // there is nothing any more
}

TEST_F(FileStoreTest, MissingBucketIsNotMadeByPut) {
  fs::remove_all(at(""));
  Status status = store_->put("a/b", chain({"1"}), {});
  EXPECT_EQ(code_of(status), EIO);
  EXPECT_NE(status.error().message.find("does not exist"), std::string::npos) << status.error().message;
  EXPECT_FALSE(fs::exists(at("")));
}

TEST_F(FileStoreTest, ListingSkipsTemporaryFilesAndFollowsLinks) {
  ASSERT_TRUE(store_->put("d/k", chain({"x"}), {}));
  std::ofstream(at("d/.jfs.k.tmp.123")) << "left over";
  std::ofstream(at("d/.jfs.k.tmp.77.3")) << "left over";
  fs::create_directories(dir_.path() + "/elsewhere");
  std::ofstream(dir_.path() + "/elsewhere/k2") << "y";
  fs::create_directory_symlink(dir_.path() + "/elsewhere", at("e"));
  fs::create_directory_symlink(at("d"), at("d/loop"));
  ::mkfifo(at("d/fifo").c_str(), 0600);
  auto found = keys_of(*store_->list("", "", 10));
  ASSERT_GE(found.size(), 2u);
  EXPECT_EQ(found[0], "d/k");
  EXPECT_EQ(keys_of(*store_->list("e", "", 10)), std::vector<std::string>{"e/k2"});
}

TEST_F(FileStoreTest, PassesOnAccessErrors) {
  if (::geteuid() == 0) {
    // Permissions do not bind root; an object where a folder should be does.
    ASSERT_TRUE(store_->put("file", chain({"x"}), {}));
    EXPECT_EQ(code_of(store_->put("file/below", chain({"x"}), {})), ENOTDIR);
    return;
  }
  fs::permissions(at(""), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(code_of(store_->put("k", chain({"x"}), {})), EACCES);
  fs::permissions(at(""), fs::perms::owner_all);
}

TEST_F(FileStoreTest, FailedWriteIsPassedOnAndLeavesNoTemporaryFile) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Status status = store_->put("k", chain({std::string(10'000, 'x')}), {});
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(code_of(status), EFBIG);
  EXPECT_TRUE(fs::is_empty(at("")));
}

TEST(MeteredStore, CountsRequestsBytesAndErrors) {
  MetricSet metrics;
  auto store = with_metrics(*open_store({"mem", ""}), metrics);
  ASSERT_TRUE(store->put("a", chain({"abc", "de"}), {}));
  std::array<std::byte, 2> out;
  ASSERT_TRUE(store->get("a", 1, out, {}));
  EXPECT_EQ(code_of(store->get("b", 0, out, {})), ENOENT);
  ASSERT_TRUE(store->remove("a"));
  const std::string text = metrics.text("");
  for (const char* line :
       {"object_request_data_bytes_PUT 5\n", "object_request_data_bytes_GET 2\n", "object_request_errors 1\n",
        "object_request_uploading 0\n", "object_request_durations_histogram_seconds_GET_total 2\n",
        "object_request_durations_histogram_seconds_DELETE_total 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(FaultyStore, FailsDelaysAndHangs) {
  using object::testing::FaultyStore;
  FaultyStore store(std::move(*open_store({"mem", ""})));
  store.set_rule([](const FaultyStore::Call& call) -> FaultyStore::Verdict {
    if (call.op == FaultyStore::Op::put && call.n == 1) return {.code = ENOSPC};
    if (call.key == "hang") return {.hang = true};
    return {};
  });
  EXPECT_TRUE(store.put("a", chain({"x"}), {}));
  EXPECT_EQ(code_of(store.put("b", chain({"x"}), {})), ENOSPC);
  std::stop_source stop;
  std::jthread later([&] {
    while (store.hanging() == 0) std::this_thread::yield();
    stop.request_stop();
  });
  EXPECT_EQ(code_of(store.put("hang", chain({"x"}), stop.get_token())), EINTR);
}

}  // namespace
}  // namespace cider::object
