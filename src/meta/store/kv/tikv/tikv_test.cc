// What is TiKV's own: requests of a change, regions, and locks that others have left.
#include <gtest/gtest.h>
#include <tikv.pb.h>
#include <unistd.h>

#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/testing/kv_testing.h"
#include "meta/store/kv/tikv/tikv_client.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/testing/tikv_server.h"

namespace cider::meta::kv {
namespace {

using meta::testing::TikvServer;
using testing::ask;
using testing::write;

// A volume below a prefix of the test's own. Names begin with what the server's regions are split at.
class Tikv : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!TikvServer::is_there()) GTEST_SKIP() << "there is no tikv-server; scripts/test.sh servers builds it";
    store_ = open();
    database_ = last_;
    ASSERT_TRUE(store_->create_volume("{}", testing::directory_attr(), {}));
    ASSERT_TRUE(write(*store_, InsertNode{2, Attr{}}));
  }
  std::unique_ptr<KvStore> open() {
    last_ = open_tikv(url(), false).value();
    return std::make_unique<KvStore>(last_);
  }
  std::string url() const { return TikvServer::shared().url(prefix_); }
  uint64_t requests() const { return tikv_requests(*database_); }

  static Status grow(Store& store) {
    return store.run(
        [](Transaction& tx) -> Status {
          AttrRead& seen = tx.attr(2, field::length);
          TRY(tx.fetch());
          Attr values;
          values.length = seen.value->length + 1;
          tx.write(PatchNode{.ino = 2, .set = field::length, .values = values});
          return {};
        },
        {});
  }
  static uint64_t length(Store& store) { return ask(store, AttrRead{2, field::all, {}}).value->length; }

  static std::string new_prefix() {
    static int number = 0;
    return "tikv-test-" + std::to_string(getpid()) + "-" + std::to_string(++number);
  }

  const std::string prefix_ = new_prefix();
  std::shared_ptr<Database> last_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<KvStore> store_;
};

TEST_F(Tikv, AChangeIsOneReadAndOneCommit) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(grow(*store_));
  const uint64_t before = requests();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(grow(*store_));
  EXPECT_EQ(requests() - before, 20U);
  EXPECT_EQ(length(*store_), 13U);
}

TEST_F(Tikv, WhatAnotherClientChangedIsFoundByTheCommit) {
  auto other = open();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(grow(*store_));
    ASSERT_TRUE(grow(*other));
  }
  EXPECT_EQ(length(*store_), 10U);
  EXPECT_EQ(length(*other), 10U);
}

// Transactions of another client, step by step.
class LeftLocksTest : public Tikv {
 protected:
  void SetUp() override {
    Tikv::SetUp();
    if (IsSkipped()) return;
    client_ = std::make_unique<TikvClient>(parse_tikv_url(url()).value());
    ASSERT_TRUE(client_->open({}));
    start_ = client_->pd().timestamp({}).value();
  }
  std::string key(const std::string& name) const { return prefix_ + '\xFD' + name; }

  void lock(const std::string& name, uint64_t ttl, bool asynchronous = false) {
    tikvpb::PrewriteRequest request;
    tikvpb::Mutation& mutation = *request.add_mutations();
    mutation.set_op(tikvpb::Put);
    mutation.set_key(key(name));
    mutation.set_value("new " + name);
    request.set_primary_lock(key("M1"));
    request.set_start_version(start_);
    request.set_lock_ttl(ttl);
    request.set_use_async_commit(asynchronous);
    if (asynchronous) request.set_min_commit_ts(start_ + 1);
    if (asynchronous && name == "M1") request.add_secondaries(key("M2"));
    tikvpb::PrewriteResponse response;
    ASSERT_TRUE(client_->ask(key(name), request, &response, {}));
    ASSERT_EQ(response.errors_size(), 0) << response.errors(0).ShortDebugString();
  }
  using Values = std::vector<Value>;
  Values values() {
    auto view = database_->view({}).value();
    const std::string keys[] = {"M1", "M2"};
    return view->get(keys).value();
  }

  std::unique_ptr<TikvClient> client_;
  uint64_t start_ = 0;
};

TEST_F(LeftLocksTest, ThoseOfATransactionThatOutlivedItsTimeAreRolledBack) {
  lock("M1", 1);
  lock("M2", 1);
  usleep(20'000);
  EXPECT_EQ(values(), (Values{std::nullopt, std::nullopt}));
}

TEST_F(LeftLocksTest, ThoseOfACommittedTransactionAreCommitted) {
  lock("M1", 60'000);
  lock("M2", 60'000);
  tikvpb::CommitRequest commit;
  commit.set_start_version(start_);
  commit.set_commit_version(client_->pd().timestamp({}).value());
  commit.add_keys(key("M1"));
  tikvpb::CommitResponse committed;
  ASSERT_TRUE(client_->ask(key("M1"), commit, &committed, {}));
  ASSERT_FALSE(committed.has_error());
  EXPECT_EQ(values(), (Values{"new M1", "new M2"}));
}

TEST_F(LeftLocksTest, AnAsynchronousCommitCountsWhenAllIsLocked) {
  lock("M2", 1, true);
  lock("M1", 1, true);
  usleep(20'000);
  EXPECT_EQ(values(), (Values{"new M1", "new M2"}));
}

TEST_F(LeftLocksTest, AnAsynchronousCommitThatLacksALockIsRolledBack) {
  lock("M1", 1, true);
  usleep(20'000);
  EXPECT_EQ(values(), (Values{std::nullopt, std::nullopt}));
}

TEST_F(LeftLocksTest, WhatIsAliveIsWaitedFor) {
  lock("M1", 300);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(values(), (Values{std::nullopt, std::nullopt}));
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace cider::meta::kv
