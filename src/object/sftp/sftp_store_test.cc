#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "object/object_store.h"
#include "object/sftp/sftp_address.h"
#include "object/testing/local_servers.h"
#include "object/testing/servers.h"
#include "object/testing/stores.h"
#include "object/testing/temp_dir.h"

namespace cider::object {
namespace {

namespace fs = std::filesystem;
using testing::chain;
using testing::keys_of;

TEST(SftpBucket, ParsesAddresses) {
  auto home = *parse_sftp_bucket("192.168.1.11:myjfs/");
  EXPECT_EQ(home.host, "192.168.1.11");
  EXPECT_EQ(home.port, "22");
  EXPECT_EQ(home.root, "myjfs/");
  auto full = *parse_sftp_bucket("sftp://tom@host:2222:/srv/a:b/");
  EXPECT_EQ(full.user, "tom");
  EXPECT_EQ(full.host, "host");
  EXPECT_EQ(full.port, "2222");
  EXPECT_EQ(full.root, "/srv/a:b/");
  EXPECT_EQ(parse_sftp_bucket("[::1]:22:x/")->host, "::1");
  EXPECT_EQ(parse_sftp_bucket("host:12x/")->root, "12x/");
  for (const char* bad :
       {"", "host", "host:", "host:22/path/", "host:99999:x/", "host:path", ":x/", "[::1:x/"}) {
    EXPECT_EQ(code_of(parse_sftp_bucket(bad)), EINVAL) << bad;
  }
}

class SftpStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = testing::ssh_server();
    if (!server) GTEST_SKIP() << server.error().message;
    server_ = *server;
    set("SSH_PRIVATE_KEY_PATH", server_->key_file);
    set("SSH_KNOWN_HOSTS", server_->known_hosts);
    store_ = open();
    ASSERT_TRUE(store_->create());
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  std::unique_ptr<ObjectStore> open() {
    return *open_store(
        {"sftp", server_->user + "@127.0.0.1:" + server_->port + ":" + dir_.path() + "/bucket/"});
  }
  fs::path at(const std::string& key) const { return fs::path(dir_.path()) / "bucket" / key; }

  testing::TempDir dir_;
  const testing::SshServer* server_ = nullptr;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(SftpStoreTest, TheKeyIsThePathAndNothingElseIsLeft) {
  ASSERT_TRUE(store_->put("vol/chunks/0/0/1_0_5", chain({"hello"}), {}));
  ASSERT_TRUE(store_->put("vol/chunks/0/0/1_0_5", chain({"HELLO"}), {}));
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir_.path())) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  EXPECT_EQ(files, std::vector<std::string>{at("vol/chunks/0/0/1_0_5")});
}

TEST_F(SftpStoreTest, TheServersKeyMustBeTheOneThatIsKnown) {
  const std::string other = dir_.path() + "/known";
  std::ofstream(other) << "# nobody\n";
  set("SSH_KNOWN_HOSTS", other);
  Status unknown = open()->check_bucket();
  EXPECT_EQ(code_of(unknown), EACCES);
  EXPECT_NE(unknown.error().message.find("SHA256:"), std::string::npos) << unknown.error().message;
  std::ofstream(other)
      << "[127.0.0.1]:" << server_->port
      << " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHtestkeytestkeytestkeytestkeytestkeytestke\n";
  EXPECT_EQ(code_of(open()->check_bucket()), EACCES);
  set("SSH_KNOWN_HOSTS", "");  // a server that is not known is taken, as JuiceFS does
  EXPECT_TRUE(open()->check_bucket());
}

TEST_F(SftpStoreTest, SaysWhoIsRefused) {
  set("SSH_PRIVATE_KEY_PATH", "");
  ::unsetenv("SSH_AUTH_SOCK");
  auto store = *open_store({.storage = "sftp",
                            .bucket = "127.0.0.1:" + server_->port + ":" + dir_.path() + "/",
                            .access_key = "nobody",
                            .secret_key = "wrong!"});
  Status refused = store->check_bucket();
  EXPECT_EQ(code_of(refused), EACCES);
  EXPECT_NE(refused.error().message.find("nobody"), std::string::npos) << refused.error().message;
  EXPECT_EQ(refused.error().message.find("wrong!"), std::string::npos);
  set("SSH_PRIVATE_KEY_PATH", dir_.path() + "/none");
  EXPECT_NE(open()->check_bucket().error().message.find("/none"), std::string::npos);
  auto nobody = *open_store({"sftp", "127.0.0.1:" + std::to_string(testing::free_port()) + ":/x/"});
  EXPECT_EQ(code_of(nobody->check_bucket()), ECONNREFUSED);
}

TEST_F(SftpStoreTest, MissingBucketIsNotMadeByPut) {
  fs::remove_all(at(""));
  EXPECT_EQ(code_of(store_->check_bucket()), ENOENT);
  EXPECT_EQ(code_of(store_->put("a/b", chain({"1"}), {})), EIO);
  EXPECT_FALSE(fs::exists(at("")));
}

TEST_F(SftpStoreTest, ListingSkipsTemporaryFilesAndFollowsLinks) {
  ASSERT_TRUE(store_->put("d/k", chain({"x"}), {}));
  std::ofstream(at("d/.jfs.k.tmp.77.3")) << "left over";
  fs::create_directories(dir_.path() + "/elsewhere");
  std::ofstream(dir_.path() + "/elsewhere/k2") << "y";
  fs::create_directory_symlink(dir_.path() + "/elsewhere", at("e"));
  EXPECT_EQ(keys_of(*store_->list("", "", 10)), (std::vector<std::string>{"d/k", "e/k2"}));
}

TEST_F(SftpStoreTest, RemovesEmptyFolders) {
  for (const char* key : {"vol/chunks/0/0/1_0_5", "vol/uuid"})
    ASSERT_TRUE(store_->put(key, chain({"abc"}), {}));
  ASSERT_TRUE(store_->remove("vol/chunks/0/0/1_0_5"));
  ASSERT_TRUE(store_->remove_empty_folders("vol"));
  EXPECT_FALSE(fs::exists(at("vol/chunks")));
  EXPECT_TRUE(fs::exists(at("vol/uuid")));
  ASSERT_TRUE(store_->remove("vol/uuid"));
  ASSERT_TRUE(store_->remove_empty_folders("vol"));
  EXPECT_FALSE(fs::exists(at("vol")));
  EXPECT_TRUE(fs::exists(at("")));
}

TEST_F(SftpStoreTest, ARequestThatIsToStopEndsAndTheNextWorks) {
  ASSERT_TRUE(store_->put("k", chain({"value"}), {}));
  std::stop_source stop;
  stop.request_stop();
  std::array<std::byte, 5> out;
  EXPECT_EQ(code_of(store_->get("k", 0, out, stop.get_token())), EINTR);
  EXPECT_TRUE(store_->get("k", 0, out, {}));
}

}  // namespace
}  // namespace cider::object
