// Operations of several clients of one database: as if they ran one after the other, whatever a view shows.
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/function_ref.h"
#include "meta/store/kv/ask_ahead.h"
#include "meta/store/kv/keys.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/memkv/mem_database.h"
#include "meta/store/kv/testing/kv_testing.h"

namespace cider::meta::kv {
namespace {

using testing::ask;
using testing::write;

class KvRunner : public ::testing::Test {
 protected:
  void make(MemDatabase::Behaviour behaviour = {}) {
    database_ = std::make_shared<MemDatabase>(behaviour);
    a_ = std::make_unique<KvStore>(database_);
    b_ = std::make_unique<KvStore>(database_);
    ASSERT_TRUE(a_->create_volume("{}", testing::directory_attr(), {}));
    for (Ino ino : {2, 3}) ASSERT_TRUE(write(*a_, InsertNode{ino, Attr{}}));
  }
  static void set_mode(Store& store, Ino ino, uint16_t mode) {
    Attr values;
    values.mode = mode;
    ASSERT_TRUE(write(store, PatchNode{.ino = ino, .set = field::mode, .values = values}));
  }
  uint16_t mode(Ino ino) { return ask(*b_, AttrRead{ino, field::all, {}}).value->mode; }

  std::shared_ptr<MemDatabase> database_;
  std::unique_ptr<KvStore> a_;
  std::unique_ptr<KvStore> b_;
};

TEST_F(KvRunner, an_operation_runs_again_when_what_it_read_has_changed) {
  make();
  int runs = 0;
  ASSERT_TRUE(a_->run(
      [&](Transaction& tx) -> Status {
        AttrRead& seen = tx.attr(2, field::mode);
        TRY(tx.fetch());
        if (runs++ == 0) set_mode(*b_, 2, 0640);
        Attr values;
        values.mode = seen.value->mode | 1;
        tx.write(PatchNode{.ino = 2, .set = field::mode, .values = values});
        return {};
      },
      {}));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(mode(2), 0641);
  EXPECT_EQ(a_->conflicts(), 1U);
}

TEST_F(KvRunner, an_error_is_checked_like_a_success) {
  make();
  int runs = 0;
  EXPECT_TRUE(a_->run(
      [&](Transaction& tx) -> Status {
        AttrRead& seen = tx.attr(2, field::mode);
        TRY(tx.fetch());
        if (seen.value->mode == 0640) return {};
        if (runs++ == 0) set_mode(*b_, 2, 0640);
        return fail(EACCES);
      },
      {}));
}

TEST_F(KvRunner, an_error_writes_nothing) {
  make();
  const Status done = a_->run(
      [&](Transaction& tx) -> Status {
        tx.write(PatchNode{.ino = 2, .set = field::mode, .values = {.mode = 0777}});
        tx.write(InsertNode{3, Attr{}});
        return {};
      },
      {});
  EXPECT_EQ(code_of(done), kInodeTaken);
  EXPECT_EQ(mode(2), 0);
}

TEST_F(KvRunner, a_directory_is_empty_until_the_commit) {
  make();
  int runs = 0;
  const Status done = a_->run(
      [&](Transaction& tx) -> Status {
        auto& seen = tx.ask(DirEmptyRead{2, false});
        TRY(tx.fetch());
        if (runs++ == 0) {
          EXPECT_TRUE(write(*b_, InsertEntry{2, "a", {3, FileType::file}}));
        }
        if (!seen.empty) return fail(ENOTEMPTY);
        tx.write(DeleteNode{2});
        return {};
      },
      {});
  EXPECT_EQ(code_of(done), ENOTEMPTY);
  EXPECT_EQ(runs, 2);
}

TEST_F(KvRunner, what_is_in_a_range_stays_until_the_commit) {
  make();
  for (uint32_t index : {1, 2})
    ASSERT_TRUE(write(*a_, AppendSlices{2, index, std::string(24, 'a'), nullptr}));
  for (int way = 0; way < 3; ++way) {
    int runs = 0;
    ASSERT_TRUE(a_->run(
        [&](Transaction& tx) -> Status {
          tx.ask(ChunkRangeRead{2, 0, 9, {}});
          TRY(tx.fetch());
          if (runs++ > 0) return {};
          if (way == 0) return write(*b_, DeleteChunk{2, 1});
          if (way == 1) return write(*b_, AppendSlices{2, 2, std::string(24, 'b'), nullptr});
          return write(*b_, AppendSlices{2, 7, std::string(24, 'c'), nullptr});
        },
        {}));
    EXPECT_EQ(runs, 2) << way;
  }
}

TEST_F(KvRunner, storms_of_conflicts_lose_nothing) {
  make({.stale = 0.3, .conflict = 0.3});
  constexpr int kThreads = 4;
  constexpr int kTimes = 100;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        Store& store = t % 2 == 0 ? *a_ : *b_;
        for (int i = 0; i < kTimes; ++i) {
          EXPECT_TRUE(store.add_counter(Counter::next_trash, 1));
          EXPECT_TRUE(store.run(
              [&](Transaction& tx) -> Status {
                AttrRead& seen = tx.attr(2, field::length);
                TRY(tx.fetch());
                Attr values;
                values.length = seen.value->length + 1;
                tx.write(PatchNode{.ino = 2, .set = field::length, .values = values, .nlink_delta = 1});
                tx.write(AddUsage{4096, 1});
                return {};
              },
              {}));
        }
      });
    }
  }
  constexpr int64_t kAll = kThreads * kTimes;
  EXPECT_EQ(a_->counter(Counter::next_trash), kAll);
  const Attr attr = *ask(*a_, AttrRead{2, field::all, {}}).value;
  EXPECT_EQ(attr.length, uint64_t{kAll});
  EXPECT_EQ(attr.nlink, uint32_t{kAll});
  ASSERT_TRUE(a_->sync());
  ASSERT_TRUE(b_->sync());
  EXPECT_EQ(a_->counter(Counter::total_inodes), kAll);
  EXPECT_GT(a_->conflicts() + b_->conflicts(), 0U);
}

TEST_F(KvRunner, a_change_that_no_commit_holds_is_refused_whole) {
  make({.parts = 10});
  const Status done = a_->run(
      [&](Transaction& tx) -> Status {
        for (Ino ino = 100; ino < 111; ++ino) tx.write(InsertNode{ino, Attr{}});
        return {};
      },
      {});
  EXPECT_EQ(code_of(done), EIO);
  EXPECT_FALSE(ask(*b_, AttrRead{100, field::all, {}}).value);
  EXPECT_TRUE(write(*a_, InsertNode{100, Attr{}}));
}

TEST_F(KvRunner, groups_are_not_larger_than_a_commit) {
  make({.parts = 5});
  std::vector<std::jthread> threads;
  std::atomic<Ino> next = 100;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 30; ++i) {
        const Ino ino = next += 2;
        EXPECT_TRUE(write(*a_, InsertNode{ino, Attr{}}, InsertNode{ino + 1, Attr{}}));
      }
    });
  }
  threads.clear();
  for (Ino ino = 102; ino < 102 + 480; ++ino) EXPECT_TRUE(ask(*b_, AttrRead{ino, field::all, {}}).value);
}

// Whoever sees a new directory may count in it before the thread that made it goes on.
TEST_F(KvRunner, statistics_of_a_new_directory_are_counted_after_it) {
  make();
  for (Ino dir = 100; dir < 300; ++dir) {
    std::jthread maker([&] { EXPECT_TRUE(write(*a_, InsertNode{dir, Attr{}}, CreateDirStat{dir})); });
    const auto count = [&](Transaction& tx) -> Status {
      AttrRead& seen = tx.attr(dir, field::none);
      TRY(tx.fetch());
      if (!seen.value) return fail(ENOENT);
      tx.write(AddDirStat{dir, {.inodes = 1}});
      return {};
    };
    while (!a_->run(count, {})) continue;
    maker.join();
    EXPECT_EQ(ask(*a_, DirStatRead{dir, {}}).stat->inodes, 1) << dir;
  }
}

TEST_F(KvRunner, who_is_interrupted_before_its_turn_is_told) {
  make();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of(a_->run([](Transaction&) -> Status { return {}; }, stop.get_token())), EINTR);
}

// Of a server: what becomes of the next commit is told by `fate`, once it has been sent.
class FarDatabase final : public Database {
 public:
  std::string name() const override { return "far"; }
  std::string describe() const override { return "far://"; }
  Result<std::unique_ptr<View>> view(std::stop_token stop) override { return near_.view(stop); }
  Result<std::unique_ptr<View>> working_view(std::stop_token stop) override {
    return near_.working_view(stop);
  }
  Result<Committed> commit(View& view, const Checks& checks, const Changes& changes,
                           const Interrupt& stop) override {
    if (auto told = fate ? std::exchange(fate, {})(stop) : std::nullopt) return *std::move(told);
    return near_.commit(view, checks, changes, stop);
  }
  Result<bool> settle(std::stop_token) override { return false; }

  // Nothing: it is made.
  std::function<std::optional<Result<Committed>>(const Interrupt&)> fate;

 private:
  MemDatabase near_;
};

void await(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, stop, [] { return false; });
}

class KvInterrupt : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.create_volume("{}", testing::directory_attr(), {})); }
  int make(Ino ino) {
    const auto work = [ino](Transaction& tx) -> Status {
      tx.write(InsertNode{ino, Attr{}});
      return {};
    };
    return code_of(store_.run(work, caller_.get_token()));
  }
  bool exists(Ino ino) { return ask(store_, AttrRead{ino, field::all, {}}).value.has_value(); }

  std::shared_ptr<FarDatabase> database_ = std::make_shared<FarDatabase>();
  KvStore store_{database_};
  std::stop_source caller_;
};

TEST_F(KvInterrupt, an_answer_that_comes_after_it_is_told) {
  database_->fate = [&](const Interrupt& stop) -> std::optional<Result<Committed>> {
    caller_.request_stop();
    await(stop.now);
    if (stop.late.stop_requested()) return Committed::unknown;
    return std::nullopt;
  };
  EXPECT_EQ(make(2), 0);
  EXPECT_TRUE(exists(2));
}

TEST_F(KvInterrupt, a_conflict_that_comes_after_it_ends_it) {
  database_->fate = [&](const Interrupt& stop) -> std::optional<Result<Committed>> {
    caller_.request_stop();
    await(stop.now);
    return Committed::conflict;
  };
  EXPECT_EQ(make(2), EINTR);
  EXPECT_FALSE(exists(2));
}

TEST_F(KvInterrupt, an_answer_that_does_not_come_is_given_up) {
  database_->fate = [&](const Interrupt& stop) -> std::optional<Result<Committed>> {
    caller_.request_stop();
    await(stop.late);
    return Committed::unknown;
  };
  EXPECT_EQ(make(2), EIO);
  EXPECT_FALSE(exists(2));
}

TEST_F(KvInterrupt, what_was_not_sent_yet_ends_at_once) {
  database_->fate = [&](const Interrupt& stop) -> std::optional<Result<Committed>> {
    caller_.request_stop();
    await(stop.now);
    EXPECT_FALSE(stop.late.stop_requested());
    return fail(EINTR);
  };
  EXPECT_EQ(make(2), EINTR);
  EXPECT_FALSE(exists(2));
}

// With the grace over at once, and never over.
TEST(LateStop, comes_after_the_grace) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  std::stop_source stop;
  const LateStop soon(stop.get_token(), milliseconds(0));
  const LateStop never(stop.get_token(), hours(1));
  EXPECT_FALSE(soon.token().stop_requested());
  stop.request_stop();
  await(soon.token());
  const LateStop begun_late(stop.get_token(), milliseconds(0));
  await(begun_late.token());
  EXPECT_FALSE(never.token().stop_requested());
}

// Counts questions for keys.
class CountedView final : public View {
 public:
  explicit CountedView(View& view) : view_(view) {}
  Result<std::vector<Value>> get(std::span<const std::string> keys) override {
    ++questions;
    return view_.get(keys);
  }
  Result<std::vector<Pair>> scan(const Range& range, size_t limit, bool keys_only) override {
    return view_.scan(range, limit, keys_only);
  }
  int questions = 0;

 private:
  View& view_;
};

// Each asks for a key, and changes another that it has not asked for.
TEST(AskAhead, answers_a_group_with_what_one_operation_would_ask) {
  using Operation = FunctionRef<Status(Workspace&)>;
  MemDatabase database;
  testing::put_pairs(database, {{"1 first", "a"}, {"2 first", "b"}, {"2 then", "c"}});
  const auto operation = [](const std::string& name) {
    return [name](Workspace& work) -> Status {
      const Value first = TRY(work.get(name + " first", Rely::yes));
      const Value then = TRY(work.get(name + " then", Rely::yes));
      work.put(name + " then", first.value_or("-") + then.value_or("-"));
      return {};
    };
  };
  const auto one = operation("1");
  const auto two = operation("2");
  const auto three = operation("3");
  const Operation all[] = {one, two, three};
  const auto view = database.view({}).value();
  CountedView counted(*view);
  Workspace space(counted, true, true);
  ASSERT_TRUE(ask_ahead(all, counted, &space));
  EXPECT_EQ(counted.questions, 2);
  EXPECT_TRUE(space.changes().empty());
  EXPECT_TRUE(space.checks().keys.empty());
  for (const Operation& each : all) EXPECT_TRUE(each(space));
  EXPECT_EQ(counted.questions, 2);
  const Changes& changes = space.changes();
  EXPECT_EQ(changes.keys.at("1 then"), "a-");
  EXPECT_EQ(changes.keys.at("2 then"), "bc");
  EXPECT_EQ(changes.keys.at("3 then"), "--");
}

TEST(MemDatabase, refuses_a_check_of_what_the_view_has_not_shown) {
  MemDatabase database;
  const auto view = database.working_view({}).value();
  Checks checks;
  checks.keys.insert("a");
  EXPECT_EQ(code_of(database.commit(*view, checks, {}, {})), EINVAL);
  const std::string key = "a";
  ASSERT_TRUE(view->get(std::span(&key, 1)));
  EXPECT_TRUE(database.commit(*view, checks, {}, {}));
}

}  // namespace
}  // namespace cider::meta::kv
