#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "object/object_store.h"
#include "object/testing/fake_http.h"
#include "object/testing/local_servers.h"
#include "object/testing/servers.h"
#include "object/testing/stores.h"
#include "object/webdav/multistatus.h"

namespace cider::object {
namespace {

namespace fs = std::filesystem;
using testing::chain;
using testing::FakeHttp;
using testing::HttpAsked;
using testing::keys_of;
using testing::WebdavLogin;

TEST(Multistatus, ParsesWhatServersSend) {
  auto found = parse_multistatus(
      "<?xml version=\"1.0\"?><d:multistatus xmlns:d=\"DAV:\">"
      "<d:response><d:href>http://host:80/dav/a%20b/</"
      "d:href><d:propstat><d:prop><d:resourcetype><d:collection/>"
      "</d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
      "<d:response><d:href>/dav/a%20b/k</d:href><d:propstat><d:prop><d:resourcetype/><d:getcontentlength>12"
      "</d:getcontentlength><d:getlastmodified>Fri, 27 Nov 2026 12:44:30 GMT</d:getlastmodified></d:prop>"
      "<d:status>HTTP/1.1 200 OK</d:status></d:propstat><d:propstat><d:prop><d:getcontentlength>99"
      "</d:getcontentlength></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>"
      "</d:multistatus>");
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].path, "/dav/a b");
  EXPECT_TRUE((*found)[0].entry.is_folder);
  EXPECT_EQ((*found)[1].path, "/dav/a b/k");
  EXPECT_EQ((*found)[1].entry.name, "k");
  EXPECT_EQ((*found)[1].entry.size, 12u);
  EXPECT_EQ((*found)[1].entry.mtime.sec, 1795783470);
  for (const char* bad : {"", "<html/>", "<multistatus>", "no xml"}) {
    EXPECT_EQ(code_of(parse_multistatus(bad)), EIO) << bad;
  }
}

TEST(Multistatus, PathsAreEscaped) {
  EXPECT_EQ(escape_path("/a b/\xc3\xa9%?#"), "/a%20b/%C3%A9%25%3F%23");
  EXPECT_EQ(unescape_path("/a%20b/%C3%A9%25%3F%23"), "/a b/\xc3\xa9%?#");
  EXPECT_EQ(unescape_path("%"), "%");
}

TEST(WebdavBucket, RefusesWhatIsNoFolderOfAServer) {
  for (const char* bad : {"ftp://h/x/", "http://", "http://user:hunter2@h/", "http://h/x?y", "h/a b/"}) {
    auto store = open_store({"webdav", bad});
    ASSERT_EQ(code_of(store), EINVAL) << bad;
    EXPECT_EQ(store.error().message.find("hunter2"), std::string::npos);
  }
  EXPECT_EQ((*open_store({"webdav", "host:80/x"}))->name(), "http://host:80/x/");
}

class WebdavStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = testing::webdav_server(WebdavLogin::basic);
    if (!server) GTEST_SKIP() << server.error().message;
    server_ = *server;
    store_ = open("unit/", "secret");
    ASSERT_TRUE(store_->create());
  }
  void TearDown() override {
    if (server_) fs::remove_all(at(""));
  }
  std::unique_ptr<ObjectStore> open(const std::string& folder, const std::string& password) {
    return *open_store({.storage = "webdav",
                        .bucket = server_->url() + folder,
                        .access_key = "tester",
                        .secret_key = password});
  }
  fs::path at(const std::string& key) const { return fs::path(server_->folder) / "unit" / key; }

  const testing::WebdavServer* server_ = nullptr;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(WebdavStoreTest, TheKeyIsThePathAndNothingElseIsLeft) {
  ASSERT_TRUE(store_->put("vol/chunks/0/0/1_0_5", chain({"hel", "lo"}), {}));
  ASSERT_TRUE(store_->put("vol/chunks/0/0/1_0_5", chain({"HELLO"}), {}));
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(at(""))) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  EXPECT_EQ(files, std::vector<std::string>{at("vol/chunks/0/0/1_0_5")});
}

TEST_F(WebdavStoreTest, AFolderIsNotDeletedAsAnObject) {
  ASSERT_TRUE(store_->put("a/b/c", chain({"x"}), {}));
  EXPECT_TRUE(store_->remove("a"));
  EXPECT_TRUE(store_->remove("a/b"));
  EXPECT_EQ(*store_->get_all("a/b/c", 10, {}), "x");
}

TEST_F(WebdavStoreTest, SaysWhatIsWrong) {
  Status wrong = open("unit/", "wrong!")->check_bucket();
  EXPECT_EQ(code_of(wrong), EACCES);
  EXPECT_EQ(wrong.error().message.find("wrong!"), std::string::npos) << wrong.error().message;
  EXPECT_EQ(code_of(open("none/", "secret")->check_bucket()), ENOENT);
  Status put = open("none/", "secret")->put("a/b", chain({"x"}), {});
  EXPECT_EQ(code_of(put), EIO);
  EXPECT_FALSE(fs::exists(fs::path(server_->folder) / "none"));
  auto nobody = *open_store({"webdav", "http://127.0.0.1:" + std::to_string(testing::free_port()) + "/"});
  EXPECT_EQ(code_of(nobody->check_bucket()), ECONNREFUSED);
}

TEST_F(WebdavStoreTest, RemovesEmptyFolders) {
  for (const char* key : {"vol/chunks/0/0/1_0_5", "vol/uuid"})
    ASSERT_TRUE(store_->put(key, chain({"abc"}), {}));
  ASSERT_TRUE(store_->remove("vol/chunks/0/0/1_0_5"));
  ASSERT_TRUE(store_->remove_empty_folders("vol"));
  EXPECT_FALSE(fs::exists(at("vol/chunks")));
  EXPECT_TRUE(fs::exists(at("vol/uuid")));
}

TEST_F(WebdavStoreTest, ListingSkipsTemporaryFiles) {
  ASSERT_TRUE(store_->put("d/k", chain({"x"}), {}));
  std::ofstream(at("d/.jfs.k.tmp.77.3")) << "left over";
  EXPECT_EQ(keys_of(*store_->list("", "", 10)), std::vector<std::string>{"d/k"});
}

// A password goes in the clear only to a server that asks for it so.
TEST(WebdavLogins, NoPasswordBeforeTheServerAsks) {
  FakeHttp server([](const HttpAsked&, int) {
    return testing::answer(401, "", "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\n");
  });
  auto store = *open_store(
      {.storage = "webdav", .bucket = server.url("/"), .access_key = "tester", .secret_key = "secret"});
  EXPECT_EQ(code_of(store->check_bucket()), EACCES);
  for (const HttpAsked& asked : server.asked()) {
    EXPECT_FALSE(asked.header("authorization").starts_with("Basic")) << asked.head;
  }
}

TEST(WebdavErrors, AreTheirErrnos) {
  const std::pair<int, int> codes[] = {{403, EACCES}, {404, ENOENT}, {429, EAGAIN}, {503, EAGAIN},
                                       {507, ENOSPC}, {500, EIO},    {405, EINVAL}};
  for (const auto& [status, code] : codes) {
    FakeHttp server([&, status = status](const HttpAsked&, int) { return testing::answer(status, "no"); });
    auto store = *open_store({"webdav", server.url("/")});
    EXPECT_EQ(code_of(store->get_all("k", 10, {})), code) << status;
  }
}

}  // namespace
}  // namespace cider::object
