// Opening stores, what is particular to `file`, and the decorators. What every store promises:
// conformance_test.cc.
#include "object/object_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include "object/testing/faulty_store.h"
#include "object/testing/stores.h"
#include "object/testing/temp_dir.h"

namespace cider::object {
namespace {

namespace fs = std::filesystem;

using testing::chain;
using testing::keys_of;
using testing::TempDir;

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
