// What clients of an ordered-KV engine tell of their usage: the bytes of it, and that each change is counted
// once, whoever counts and whenever a client goes.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/bytes.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/memkv/mem_database.h"
#include "meta/store/kv/testing/kv_testing.h"

namespace cider::meta::kv {
namespace {

using testing::write;

constexpr int64_t kNow = 1'800'000'000;
constexpr int64_t kDay = 24 * 3600;

// Of a client that may be killed: nothing that it does after that changes anything.
class MortalDatabase final : public Database {
 public:
  explicit MortalDatabase(std::shared_ptr<MemDatabase> database) : database_(std::move(database)) {}
  std::string name() const override { return database_->name(); }
  std::string describe() const override { return database_->describe(); }
  Result<std::unique_ptr<View>> view(std::stop_token stop) override { return database_->view(stop); }
  Result<std::unique_ptr<View>> working_view(std::stop_token stop) override {
    return database_->working_view(stop);
  }
  Result<Committed> commit(View& view, const Checks& checks, const Changes& changes,
                           const Interrupt& stop) override {
    if (is_dead) return fail(EIO, "killed");
    if (is_slow) std::this_thread::sleep_for(std::chrono::microseconds(300));
    auto committed = TRY(database_->commit(view, checks, changes, stop));
    if (committed != Committed::done || !is_unsure.exchange(false)) return committed;
    return Committed::unknown;
  }
  Result<bool> settle(std::stop_token) override { return true; }
  Limits limits() const override { return database_->limits(); }

  std::atomic<bool> is_dead{false};
  std::atomic<bool> is_unsure{false};  // the answer to the next commit is lost
  std::atomic<bool> is_slow{false};    // so that operations gather for the next commit

 private:
  const std::shared_ptr<MemDatabase> database_;
};

class UsageTallyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(b_->create_volume("{}", testing::directory_attr(), {}));
    ASSERT_TRUE(a_->put_session({1, kNow + 60, "{}"}));
    ASSERT_TRUE(b_->put_session({2, kNow + 60, "{}"}));
  }
  void kill_a() {
    mortal_->is_dead = true;
    ASSERT_TRUE(write(*b_, DeleteSession{1}));
  }
  int64_t stored() {
    KvStore other(database_);
    return other.counter(Counter::total_inodes).value();
  }
  size_t records() {
    size_t n = 0;
    for (const auto& [key, value] : testing::all_pairs(*database_)) n += key.starts_with(kTallies) ? 1 : 0;
    return n;
  }

  std::shared_ptr<MemDatabase> database_ =
      std::make_shared<MemDatabase>(MemDatabase::Behaviour{.stale = 0.3, .conflict = 0.2});
  std::shared_ptr<MortalDatabase> mortal_ = std::make_shared<MortalDatabase>(database_);
  std::unique_ptr<KvStore> a_ = std::make_unique<KvStore>(mortal_);
  std::unique_ptr<KvStore> b_ = std::make_unique<KvStore>(database_);
};

TEST(UsageTally, HasTheseBytes) {
  const std::string client = from_hex("000102030405060708090a0b0c0d0e0f").value();
  EXPECT_EQ(to_hex(total_key(client)), "54000102030405060708090a0b0c0d0e0f54");
  EXPECT_EQ(to_hex(counted_key(client)), "54000102030405060708090a0b0c0d0e0f43");
  EXPECT_EQ(to_hex(encode_total({-4096, 3})), "fffffffffffff0000000000000000003");
  EXPECT_EQ(to_hex(encode_counted({7, {8192, -1}, kNow})),
            "00000000000000070000000000002000ffffffffffffffff000000006b49d200");
  EXPECT_EQ(parse_tally_key(total_key(client))->client, client);
  EXPECT_TRUE(parse_tally_key(total_key(client))->is_total);
  EXPECT_FALSE(parse_tally_key(counted_key(client))->is_total);
  EXPECT_FALSE(parse_tally_key("Tx"));
  EXPECT_EQ(code_of(decode_total("short")), EIO);
  EXPECT_EQ(code_of(decode_counted(encode_total({}))), EIO);
}

TEST_F(UsageTallyTest, AKilledClientIsCountedByOthersOnce) {
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  ASSERT_TRUE(a_->sync());
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  ASSERT_TRUE(write(*a_, AddUsage{8192, 2}));
  ASSERT_TRUE(write(*b_, AddUsage{4096, 10}));
  kill_a();
  std::vector<std::jthread> threads;
  KvStore c(database_);
  for (KvStore* store : {b_.get(), &c})
    threads.emplace_back([store] { EXPECT_TRUE(store->count_left_usage(kNow)); });
  threads.clear();
  EXPECT_EQ(b_->counter(Counter::total_inodes), 14);
  EXPECT_EQ(b_->counter(Counter::used_space), 20480);
  ASSERT_TRUE(b_->sync());
  EXPECT_EQ(stored(), 14);
}

// Of operations in one commit each sees what those before it have changed, be they counted in the same one.
TEST(UsageTally, ALimitIsMetExactlyByManyAtOnce) {
  constexpr int64_t kLimit = 2000;
  const auto database =
      std::make_shared<MortalDatabase>(std::make_shared<MemDatabase>(MemDatabase::Behaviour{}));
  database->is_slow = true;
  KvStore store(database);
  ASSERT_TRUE(store.create_volume("{}", testing::directory_attr(), {}));
  std::atomic<int64_t> made{0};
  std::atomic<bool> full{false};
  const auto make_until_full = [&] {
    for (Status done; done;) {
      done = store.run(
          [&](Transaction& tx) -> Status {
            auto& usage = tx.ask(UsageRead{});
            TRY(tx.fetch());
            if (usage.inodes >= kLimit) return fail(ENOSPC);
            tx.write(AddUsage{4096, 1});
            return {};
          },
          {});
      if (done) ++made;
    }
  };
  {
    const std::jthread counts([&] {
      while (!full) EXPECT_TRUE(store.sync());
    });
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back(make_until_full);
    threads.clear();
    full = true;
  }
  EXPECT_EQ(made, kLimit);
  EXPECT_EQ(store.counter(Counter::total_inodes), kLimit);
}

TEST_F(UsageTallyTest, ALivingOneCountsItself) {
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  ASSERT_TRUE(b_->count_left_usage(kNow));
  EXPECT_EQ(a_->counter(Counter::total_inodes), 1);
  ASSERT_TRUE(a_->sync());
  EXPECT_EQ(a_->counter(Counter::total_inodes), 1);
  EXPECT_EQ(stored(), 1);
}

// With no session nobody knows whether it lives: both count.
TEST_F(UsageTallyTest, OneWithoutASessionIsCountedByAnybody) {
  KvStore c(database_);
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(write(c, AddUsage{4096, 1}));
    ASSERT_TRUE(b_->count_left_usage(kNow));
    if (i % 3 == 0) {
      ASSERT_TRUE(c.sync());
    }
    EXPECT_EQ(stored(), i);
  }
  ASSERT_TRUE(write(c, AddUsage{0, 1}));  // what is pending is more than 0, so that it looks
  ASSERT_TRUE(c.sync());
  EXPECT_EQ(c.counter(Counter::total_inodes), 21);
  EXPECT_EQ(stored(), 21);
}

TEST_F(UsageTallyTest, AStoppedOneGoesOn) {
  for (int round = 1; round <= 3; ++round) {
    ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
    ASSERT_TRUE(write(*b_, DeleteSession{1}));
    ASSERT_TRUE(b_->count_left_usage(kNow));
    ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
    ASSERT_TRUE(a_->put_session({1, kNow + 60, "{}"}));
    ASSERT_TRUE(a_->sync());
    EXPECT_EQ(a_->counter(Counter::total_inodes), 2 * round);
    EXPECT_EQ(stored(), 2 * round);
  }
}

TEST_F(UsageTallyTest, RecordsOfADeadOneGoADayLater) {
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  EXPECT_EQ(records(), 3U);
  kill_a();
  ASSERT_TRUE(b_->count_left_usage(kNow));
  ASSERT_TRUE(b_->count_left_usage(kNow + kDay - 1));
  EXPECT_EQ(records(), 3U);
  ASSERT_TRUE(b_->count_left_usage(kNow + kDay));
  EXPECT_EQ(records(), 1U);
  EXPECT_EQ(stored(), 1);
}

// It had been stopped for longer than a day.
TEST_F(UsageTallyTest, AClientWhoseRecordsAreGoneGoesOn) {
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  ASSERT_TRUE(a_->sync());
  ASSERT_TRUE(write(*b_, DeleteSession{1}));
  ASSERT_TRUE(b_->count_left_usage(kNow));
  ASSERT_TRUE(b_->count_left_usage(kNow + kDay));
  EXPECT_EQ(records(), 1U);
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  ASSERT_TRUE(a_->sync());
  EXPECT_EQ(stored(), 2);
  EXPECT_EQ(a_->counter(Counter::total_inodes), 2);
}

TEST_F(UsageTallyTest, WhoLeavesInOrderLeavesNothing) {
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  a_.reset();
  EXPECT_EQ(stored(), 1);
  EXPECT_EQ(records(), 1U);
  b_.reset();
  EXPECT_EQ(records(), 0U);
}

TEST_F(UsageTallyTest, ACommitWhoseAnswerWasLostCounts) {
  mortal_->is_unsure = true;
  EXPECT_EQ(code_of(write(*a_, AddUsage{4096, 1})), EIO) << "it is not known";
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  mortal_->is_unsure = true;
  EXPECT_FALSE(a_->sync());  // this one too
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  ASSERT_TRUE(a_->sync());
  EXPECT_EQ(stored(), 3);
  EXPECT_EQ(a_->counter(Counter::total_inodes), 3);
}

TEST_F(UsageTallyTest, OfAVolumeThatIsGoneNothingIsCounted) {
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  ASSERT_TRUE(a_->destroy_volume());
  ASSERT_TRUE(a_->create_volume("{}", testing::directory_attr(), {}));
  EXPECT_EQ(a_->counter(Counter::total_inodes), 0);
  ASSERT_TRUE(write(*a_, AddUsage{4096, 1}));
  a_.reset();
  EXPECT_EQ(stored(), 1);
}

}  // namespace
}  // namespace cider::meta::kv
