// What is TiKV's own: requests of a change, regions, and locks that others have left.
#include <gtest/gtest.h>
#include <tikv.pb.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "meta/store/kv/keys.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/testing/kv_testing.h"
#include "meta/store/kv/tikv/pd_client.h"
#include "meta/store/kv/tikv/tikv_client.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/store/kv/tikv/tikv_url.h"
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

  static Status grow(Store& store, Ino ino = 2) {
    return store.run(
        [ino](Transaction& tx) -> Status {
          AttrRead& seen = tx.attr(ino, field::length);
          TRY(tx.fetch());
          Attr values;
          values.length = seen.value->length + 1;
          tx.write(PatchNode{.ino = ino, .set = field::length, .values = values});
          return {};
        },
        {});
  }
  // A file of the root, as an operation that expects the name to be new; 0 or the error, which is `otherwise`
  // where the name is new.
  static int make(Store& store, const std::string& name, Ino ino, int otherwise = 0) {
    return code_of(store.run(
        [&](Transaction& tx) -> Status {
          LookupRead& present = tx.lookup(1, name, field::none);
          present.absence_expected = true;
          TRY(tx.fetch());
          if (present.value) return fail(EEXIST);
          if (otherwise != 0) return fail(otherwise);
          tx.write(InsertNode{ino, Attr{}});
          tx.write(InsertEntry{1, name, Entry{ino, FileType::file}});
          return {};
        },
        {}));
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

// A timestamp names a transaction: with one name two of them would take each other's locks for their own.
TEST_F(Tikv, NoTwoClientsGetOneTimestamp) {
  constexpr int kClients = 4;
  constexpr int kTurns = 1000;
  constexpr uint32_t kCount = 1000;
  std::vector<std::vector<uint64_t>> firsts(kClients);
  {
    std::vector<std::jthread> clients;
    for (auto& mine : firsts) {
      clients.emplace_back([&mine, this] {
        PdClient client(parse_tikv_url(url()).value());
        ASSERT_TRUE(client.open({}));
        for (int i = 0; i < kTurns; ++i)
          mine.push_back(client.await(client.ask_timestamp(kCount), {}).value());
      });
    }
  }
  std::vector<uint64_t> all;
  for (const auto& mine : firsts) {
    EXPECT_TRUE(std::ranges::is_sorted(mine));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::ranges::sort(all);
  int close = 0;
  for (size_t i = 1; i < all.size(); ++i) close += all[i] - all[i - 1] < kCount;
  EXPECT_EQ(close, 0) << "times that one client was given what another has";
}

TEST_F(Tikv, AChangeOfWhatTheLastOneChangedIsOneCommit) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(grow(*store_));
  const uint64_t before = requests();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(grow(*store_));
  EXPECT_EQ(requests() - before, 10U);
  EXPECT_EQ(length(*store_), 13U);
}

TEST_F(Tikv, AChangeOfAnotherInodeIsOneReadAndOneCommit) {
  ASSERT_TRUE(write(*store_, InsertNode{3, Attr{}}));
  const uint64_t before = requests();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(grow(*store_, 2 + i % 2));
  EXPECT_EQ(requests() - before, 20U);
  EXPECT_EQ(length(*store_), 5U);
}

TEST_F(Tikv, ClientsAtTheSameTimeLoseNoChange) {
  constexpr int kChanges = 60;
  std::atomic<bool> done = false;
  auto other = open();
  const auto reader_database = open_tikv(url(), false).value();
  std::jthread reads([&] {
    const std::string key = inode_key(2);
    while (!done) EXPECT_TRUE(reader_database->view({}).value()->get({&key, 1}));
  });
  {
    std::vector<std::jthread> clients;
    for (KvStore* store : {store_.get(), other.get()}) {
      clients.emplace_back([store] {
        for (int i = 0; i < kChanges; ++i) EXPECT_TRUE(grow(*store));
      });
    }
  }
  done = true;
  EXPECT_EQ(length(*store_), 2U * kChanges);
}

TEST_F(Tikv, WhatIsNewIsNotAskedForBefore) {
  ASSERT_TRUE(grow(*store_));
  const uint64_t before = requests();
  EXPECT_EQ(make(*store_, "a", 10), 0);
  EXPECT_EQ(requests() - before, 1U);
  EXPECT_EQ(ask(*store_, EntryRead{1, "a"}).value->ino, 10U);
}

TEST_F(Tikv, WhatWasTakenForNewIsFoundToBeThere) {
  auto other = open();
  for (const std::string name : {"a", "b"}) {
    ASSERT_TRUE(grow(*store_));
    ASSERT_EQ(make(*other, name, 10 + name.front()), 0);
    EXPECT_EQ(make(*store_, name, 20), EEXIST);
    EXPECT_EQ(ask(*store_, EntryRead{1, name}).value->ino, 10U + name.front());
  }
  EXPECT_EQ(make(*store_, "c", 20), 0);
}

TEST_F(Tikv, AnErrorThatComesOfWhatWasTakenForNewIsChecked) {
  auto other = open();
  ASSERT_TRUE(grow(*store_));
  ASSERT_EQ(make(*other, "a", 10), 0);
  EXPECT_EQ(make(*store_, "a", 11, EACCES), EEXIST);
  EXPECT_EQ(make(*store_, "b", 11, EACCES), EACCES);
}

TEST_F(Tikv, ANumberIsNotTakenTwice) {
  auto other = open();
  ASSERT_TRUE(grow(*store_));
  ASSERT_EQ(make(*other, "a", 10), 0);
  EXPECT_EQ(make(*store_, "b", 10), kInodeTaken);
  EXPECT_FALSE(ask(*store_, EntryRead{1, "b"}).value);
}

// One reference is not stored, so that no insert proves that there was none.
TEST_F(Tikv, ACountThatIsThereAlreadyIsFound) {
  auto other = open();
  ASSERT_TRUE(write(*other, InsertSliceRef{77, 4096, 2}));
  ASSERT_TRUE(grow(*store_));
  EXPECT_EQ(code_of(write(*store_, InsertSliceRef{77, 4096, 1})), EEXIST);
  EXPECT_TRUE(write(*store_, InsertSliceRef{78, 4096, 1}));
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

  // What stood against it.
  std::string try_lock(const std::string& name, uint64_t ttl, bool asynchronous) {
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
    EXPECT_TRUE(client_->ask(key(name), request, &response, {}));
    return response.errors_size() == 0 ? "" : response.errors(0).ShortDebugString();
  }
  void lock(const std::string& name, uint64_t ttl, bool asynchronous = false) {
    EXPECT_EQ(try_lock(name, ttl, asynchronous), "");
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
  EXPECT_NE(try_lock("M2", 60'000, true), "") << "it comes too late";
  EXPECT_NE(try_lock("M1", 60'000, true), "");
}

// A store may turn asynchronous commit down, for its region alone: then the primary's commit decides.
TEST_F(LeftLocksTest, AnAsynchronousCommitThatARegionRefusedIsRolledBack) {
  lock("M1", 1, true);
  lock("M2", 1, false);
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
