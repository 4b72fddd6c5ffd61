// client-go, which JuiceFS uses, reads what we wrote, and we read what it wrote, byte by byte.
#include <gtest/gtest.h>
#include <tikv.pb.h>
#include <unistd.h>

#include "base/bytes.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/testing/kv_testing.h"
#include "meta/store/kv/tikv/tikv_client.h"
#include "meta/store/kv/tikv/tikv_commit.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/testing/tikv_server.h"

namespace cider::meta::kv {
namespace {

using meta::testing::TikvServer;
using testing::Pairs;

// Keys of one volume in two regions: "Mm..." lies beyond the border.
class TikvClientGo : public ::testing::Test {
 protected:
  static constexpr const char* kPrefix = "volume";

  void SetUp() override {
    if (!TikvServer::is_there()) GTEST_SKIP() << "there is no tikv-server; scripts/test.sh servers builds it";
    server_ = std::make_unique<TikvServer>(std::vector<std::string>{whole("Mm")});
    database_ = open_tikv(url(), false).value();
  }
  std::string url() const { return server_->url(kPrefix); }
  static std::string whole(const std::string& key) { return std::string(kPrefix) + '\xFD' + key; }
  static std::string text(std::string_view bytes) { return bytes.empty() ? "." : to_hex(bytes); }
  static std::string bytes(const std::string& text) {
    return text == "." ? std::string{} : from_hex(text).value();
  }

  // Their side.
  std::vector<Value> they_get(const std::vector<std::string>& keys) const {
    std::vector<std::string> arguments = {"get"};
    for (const std::string& key : keys) arguments.push_back(text(whole(key)));
    std::vector<Value> out;
    for (const std::string& line : server_->ask_client_go(arguments))
      out.push_back(line == "-" ? std::nullopt : Value(bytes(line)));
    return out;
  }
  Pairs they_scan() const {
    Pairs out;
    for (const std::string& line :
         server_->ask_client_go({"scan", text(whole("")), text(std::string(kPrefix) + '\xFE')})) {
      const size_t space = line.find(' ');
      out[bytes(line.substr(0, space)).substr(whole("").size())] = bytes(line.substr(space + 1));
    }
    return out;
  }
  // How it was committed.
  std::string they_put(const std::string& how, const std::map<std::string, Value>& values) const {
    std::vector<std::string> arguments = {"put", how};
    for (const auto& [key, value] : values) {
      arguments.push_back(text(whole(key)));
      arguments.push_back(value ? text(*value) : "-");
    }
    return server_->ask_client_go(arguments).at(0);
  }

  // Our side.
  std::vector<Value> we_get(const std::vector<std::string>& keys) const {
    return database_->view({}).value()->get(keys).value();
  }
  void we_put(std::map<std::string, Value, std::less<>> values) const {
    const auto view = database_->working_view({}).value();
    EXPECT_EQ(database_->commit(*view, {}, {std::move(values), {}}, {}), Committed::done);
  }

  // All bytes, and enough of them for a few pages.
  static std::string long_value() {
    std::string value;
    for (int i = 0; i < 20'000; ++i) value += static_cast<char>(i);
    return value;
  }

  std::unique_ptr<TikvServer> server_;
  std::shared_ptr<Database> database_;
};

TEST_F(TikvClientGo, ReadsWhatWeWrote) {
  const std::string odd("\0\xff\xfe '\"\n", 7);
  we_put({{"Ma", odd}, {"Mb" + odd, long_value()}});
  EXPECT_EQ(they_get({"Ma", "Mb" + odd, "Mc"}), (std::vector<Value>{odd, long_value(), std::nullopt}));
  we_put({{"Ma", "one"}, {"Mz", "two"}});  // in two regions
  EXPECT_EQ(they_get({"Ma", "Mz"}), (std::vector<Value>{"one", "two"}));
  we_put({{"Ma", std::nullopt}, {"Mz", "three"}});
  EXPECT_EQ(they_get({"Ma", "Mz"}), (std::vector<Value>{std::nullopt, "three"}));
  EXPECT_EQ(they_scan(), testing::all_pairs(*database_));
}

TEST_F(TikvClientGo, WritesWhatWeRead) {
  const std::string odd("\0\xff\xfe '\"\n", 7);
  EXPECT_EQ(they_put("1pc", {{"Ma", odd}, {"Mb" + odd, long_value()}}), "1pc");
  EXPECT_EQ(we_get({"Ma", "Mb" + odd, "Mc"}), (std::vector<Value>{odd, long_value(), std::nullopt}));
  EXPECT_EQ(they_put("async", {{"Ma", "one"}, {"Mz", "two"}}), "async_commit");
  EXPECT_EQ(we_get({"Ma", "Mz"}), (std::vector<Value>{"one", "two"}));
  EXPECT_EQ(they_put("2pc", {{"Ma", std::nullopt}, {"Mz", "three"}}), "2pc");
  EXPECT_EQ(we_get({"Ma", "Mz"}), (std::vector<Value>{std::nullopt, "three"}));
  EXPECT_EQ(they_scan(), testing::all_pairs(*database_));
}

TEST_F(TikvClientGo, LocksThatItLeftAreOfACommit) {
  EXPECT_EQ(they_put("async+leave", {{"Ma", "one"}, {"Mz", "two"}}), "async_commit");
  EXPECT_EQ(we_get({"Mz", "Ma"}), (std::vector<Value>{"two", "one"}));
  EXPECT_EQ(they_put("async+leave", {{"Ma", "1"}, {"Mz", std::nullopt}}), "async_commit");
  EXPECT_EQ(testing::all_pairs(*database_), (Pairs{{"Ma", "1"}}));
  EXPECT_EQ(they_put("2pc+leave", {{"Ma", "three"}, {"Mz", "four"}}), "2pc");
  we_put({{"Ma", std::nullopt}, {"Mz", "five"}});
  EXPECT_EQ(they_get({"Ma", "Mz"}), (std::vector<Value>{std::nullopt, "five"}));
}

// A client of ours that ends before it has unlocked anything.
class TikvLeftByUs : public TikvClientGo {
 protected:
  void SetUp() override {
    TikvClientGo::SetUp();
    if (IsSkipped()) return;
    client_ = std::make_unique<TikvClient>(parse_tikv_url(url()).value());
    ASSERT_TRUE(client_->open({}));
  }
  uint64_t now() const { return client_->pd().timestamp({}).value(); }
  Committed commit_and_leave(const TikvMutations& mutations) const {
    const uint64_t start = now();
    const Committed done = TikvCommit(*client_, mutations, start, start, {}).run().value();
    for (size_t i = 0; i < mutations.keys.size(); ++i)
      EXPECT_EQ(is_locked(mutations.keys[i]), mutations.values[i].has_value()) << mutations.keys[i];
    return done;
  }
  // For readers; locks of what is only relied on are none.
  bool is_locked(const std::string& key) const {
    tikvpb::GetRequest request;
    request.set_key(key);
    request.set_version(now());
    tikvpb::GetResponse response;
    EXPECT_TRUE(client_->ask(key, request, &response, {}));
    return response.error().has_locked();
  }

  std::unique_ptr<TikvClient> client_;
};

TEST_F(TikvLeftByUs, AnAsynchronousCommitIsFound) {
  we_put({{"Mc", "old"}, {"Mz", "old"}});
  // Mb is only relied on.
  ASSERT_EQ(commit_and_leave({{whole("Ma"), whole("Mc"), whole("Mz"), whole("Mb")},
                              {"one", Value(std::nullopt), long_value(), std::nullopt}}),
            Committed::done);
  EXPECT_EQ(they_get({"Mz", "Mc", "Mb", "Ma"}),
            (std::vector<Value>{long_value(), std::nullopt, std::nullopt, "one"}));
  they_put("async", {{"Mb", "two"}, {"Mz", "three"}});
  EXPECT_EQ(we_get({"Ma", "Mb", "Mz"}), (std::vector<Value>{"one", "two", "three"}));
}

TEST_F(TikvLeftByUs, WhatIsNotWholeIsRolledBack) {
  we_put({{"Ma", "old"}});
  tikvpb::PrewriteRequest request;
  tikvpb::Mutation& mutation = *request.add_mutations();
  mutation.set_op(tikvpb::Put);
  mutation.set_key(whole("Ma"));
  mutation.set_value("new");
  request.set_primary_lock(whole("Ma"));
  request.set_start_version(now());
  request.set_lock_ttl(1);
  request.set_use_async_commit(true);
  request.set_min_commit_ts(request.start_version() + 1);
  request.add_secondaries(whole("Mz"));
  tikvpb::PrewriteResponse response;
  ASSERT_TRUE(client_->ask(whole("Ma"), request, &response, {}));
  ASSERT_EQ(response.errors_size(), 0) << response.errors(0).ShortDebugString();
  usleep(20'000);
  EXPECT_EQ(they_get({"Ma", "Mz"}), (std::vector<Value>{"old", std::nullopt}));
}

// A volume is copied by client-go, pair by pair; we find the copy as it was.
TEST_F(TikvClientGo, CopiesAVolume) {
  {
    KvStore store(database_);
    ASSERT_TRUE(store.create_volume(R"({"Name":"v"})", testing::directory_attr(), {}));
    for (Ino ino = 2; ino < 40; ++ino) {
      const std::string name = "file \xc3\xa4 " + std::to_string(ino);
      ASSERT_TRUE(testing::write(store, InsertNode{ino, Attr{}}, AddUsage{4096, 1},
                                 InsertEntry{kRootIno, name, {ino, FileType::file}}));
    }
    ASSERT_TRUE(store.sync());
  }
  const Pairs pairs = they_scan();
  EXPECT_EQ(pairs, testing::all_pairs(*database_));
  EXPECT_GT(pairs.size(), 2 * 38U);
  std::vector<std::string> arguments = {"put", "async"};
  for (const auto& [key, value] : pairs) {
    arguments.push_back(text("copy\xFD" + key));
    arguments.push_back(text(value));
  }
  server_->ask_client_go(arguments);
  const auto copy = open_tikv(server_->url("copy"), true).value();
  EXPECT_EQ(testing::all_pairs(*copy), pairs);
  KvStore store(copy);
  EXPECT_EQ(store.load_setting().value(), R"({"Name":"v"})");
  DirCursor cursor;
  EXPECT_EQ(store.list_dir(kRootIno, &cursor, 100, true)->size(), 38U);
}

}  // namespace
}  // namespace cider::meta::kv
