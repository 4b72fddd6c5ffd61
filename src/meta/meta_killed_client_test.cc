// What clients that are killed have committed is in the volume's usage again after their sessions are cleaned
// up. The client is a process of its own, this program once more, which really kills itself.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/testing/own_process.h"
#include "meta/store/engines.h"
#include "meta/testing/meta_fixture.h"
#include "meta/testing/sqlite_testing.h"

namespace cider::meta {
namespace {

using testing::Engine;
using testing::StepClock;

constexpr const char* kUrl = "CIDER_TEST_KILLED_URL";
constexpr const char* kHow = "CIDER_TEST_KILLED_HOW";
constexpr int kFiles = 20;

// Of several processes.
std::vector<Engine> shared_engines() {
  std::vector<Engine> engines = testing::all_engines();
  std::erase_if(engines, [](Engine engine) {
    return engine == Engine::rocksdb || !testing::traits(engine).make || engine == Engine::memkv;
  });
  return engines;
}

// Makes files, and removes some, as `how` says; then it is gone.
void run_and_kill_on(const std::string& url, const std::string& how) {
  ASSERT_EQ(setenv(kUrl, url.c_str(), 1), 0);
  ASSERT_EQ(setenv(kHow, how.c_str(), 1), 0);
  const pid_t pid = cider::testing::start_disabled_test("KilledClient.DISABLED_Itself");
  ASSERT_GT(pid, 0);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

class KilledClientTest : public testing::MetaTest {
 protected:
  void SetUp() override { make({.clients = 3}); }
  // Statistics of directories may lack what was killed.
  void TearDown() override {
    if (!volume_) return;
    volume_->stop();
    for (const std::string& problem : volume_->problems()) {
      if (!problem.starts_with("statistics of directory")) ADD_FAILURE() << problem;
    }
  }
  void run_and_kill(const std::string& how = "plain") {
    ASSERT_NO_FATAL_FAILURE(run_and_kill_on(volume_->url(), how));
  }
  void keep(Meta& meta) {
    ASSERT_TRUE(meta.store().refresh_session(meta.session_id(), clock().now().sec + 60));
  }
  void outlive() {
    clock().advance(61);
    for (size_t i = 0; i < volume_->clients(); ++i) keep(volume_->client(i));
  }
  int64_t inodes() { return a().store().counter(Counter::total_inodes).value(); }
  int64_t space() { return a().store().counter(Counter::used_space).value(); }
  void expect_usage(int64_t files) {
    EXPECT_EQ(inodes(), files);
    EXPECT_EQ(space(), files * 4096);
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, KilledClientTest, ::testing::ValuesIn(shared_engines()),
                         [](const auto& test) { return testing::engine_name(test.param); });

// The other process.
TEST(KilledClient, DISABLED_Itself) {
  const char* url = getenv(kUrl);
  ASSERT_TRUE(url) << "it is a part of other tests";
  const std::string how = getenv(kHow);
  auto store = open_store(url, true, false).value();
  const Volume volume = decode_volume(store->load_setting().value().value()).value();
  StepClock clock;
  Meta meta(std::move(store), volume, {.background_jobs = false, .max_deletes = 1}, clock);
  DataCallbacks data;
  data.delete_slice = [](uint64_t, uint32_t) { return Status{}; };
  ASSERT_TRUE(meta.start(data));
  const auto name = [&](int i) { return "killed" + std::to_string(getpid()) + "-" + std::to_string(i); };
  for (int i = 0; i < kFiles + 2; ++i) {
    ASSERT_TRUE(meta.mknod(Caller{}, kRootIno, name(i), NewNode{}));
    if (how == "flush" && i == kFiles / 2) {
      ASSERT_TRUE(meta.store().sync());
    }
  }
  for (int i : {0, 1}) ASSERT_TRUE(meta.unlink(Caller{}, kRootIno, name(i)));
  kill(getpid(), SIGKILL);
}

// Of an engine for one: nobody waits for the session of one who cannot be there any more.
TEST(RocksKilledClient, IsCleanedUpAtOnce) {
  const sqlite::TempFolder folder;
  const std::string url = "rocksdb://" + (folder / "db");
  Volume volume;
  volume.name = "killed";
  volume.storage = "mem";
  volume.trash_days = 0;
  ASSERT_TRUE(format_volume(*open_store(url, true, false).value(), &volume));
  ASSERT_NO_FATAL_FAILURE(run_and_kill_on(url, "plain"));

  auto other = open_store(url, false, false).value();
  StepClock clock;
  Meta meta(open_store(url, false, false).value(), volume, {.background_jobs = false}, clock);
  ASSERT_TRUE(meta.start({}));
  ASSERT_TRUE(meta.clean_stale_sessions());
  EXPECT_EQ(other->list_sessions().value().size(), 2u) << "it might be who else has it open";
  other.reset();
  ASSERT_TRUE(meta.clean_stale_sessions());
  EXPECT_EQ(meta.store().list_sessions().value().size(), 1u);
  EXPECT_EQ(meta.store().counter(Counter::total_inodes).value(), kFiles);
}

TEST_P(KilledClientTest, ItsUsageIsCountedWithItsSession) {
  mkfile("own");
  run_and_kill();
  outlive();
  ASSERT_TRUE(b().clean_stale_sessions());
  expect_usage(kFiles + 1);
  ASSERT_TRUE(b().clean_stale_sessions());
  ASSERT_TRUE(a().clean_stale_sessions());
  expect_usage(kFiles + 1);
}

TEST_P(KilledClientTest, WhatItCountedItselfIsNotCountedAgain) {
  run_and_kill("flush");
  outlive();
  ASSERT_TRUE(a().clean_stale_sessions());
  expect_usage(kFiles);
}

TEST_P(KilledClientTest, IsNotCountedWhileItsSessionLives) {
  run_and_kill();
  ASSERT_TRUE(a().clean_stale_sessions());
  EXPECT_EQ(volume_->dump().sessions.size(), 4u) << "it may be there yet";
  outlive();
  ASSERT_TRUE(a().clean_stale_sessions());
  expect_usage(kFiles);
}

TEST_P(KilledClientTest, ManyMayCountTheSame) {
  run_and_kill();
  run_and_kill("flush");
  outlive();
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < volume_->clients(); ++i)
    threads.emplace_back([&, i] { EXPECT_TRUE(volume_->client(i).clean_stale_sessions()); });
  threads.clear();
  expect_usage(2 * kFiles);
}

// JuiceFS knows sessions, but not what their clients have not counted.
TEST_P(KilledClientTest, ItsSessionMayBeGone) {
  run_and_kill();
  for (uint64_t sid : volume_->dump().sessions) {
    if (sid == a().session_id() || sid == b().session_id() || sid == volume_->client(2).session_id())
      continue;
    ASSERT_TRUE(a().store().run(
        [&](Transaction& tx) -> Status {
          tx.write(DeleteSession{sid});
          return {};
        },
        {}));
  }
  ASSERT_TRUE(b().clean_stale_sessions());
  expect_usage(kFiles);
}

// One that was only stopped goes on: what was counted for it, it does not count again.
TEST_P(KilledClientTest, MayHaveBeenStoppedOnly) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) {
      const std::string name = std::to_string(round) + "-" + std::to_string(i);
      ASSERT_TRUE(b().mknod(Caller{}, kRootIno, name, NewNode{}));
    }
    clock().advance(61);
    keep(a());
    ASSERT_TRUE(a().clean_stale_sessions());
    EXPECT_EQ(inodes(), 5 * (round + 1));
  }
  ASSERT_TRUE(b().store().sync());
  expect_usage(15);
  EXPECT_EQ(b().store().counter(Counter::total_inodes).value(), 15);
}

// Days later its records go. Clients that have ended in order leave none.
TEST_P(KilledClientTest, LeavesNothingForEver) {
  run_and_kill();
  mkfile("own");
  outlive();
  ASSERT_TRUE(a().clean_stale_sessions());
  clock().advance(24 * 3600 + 1);
  for (Meta* meta : {&a(), &b()}) keep(*meta);
  ASSERT_TRUE(a().clean_stale_sessions());
  ASSERT_TRUE(a().clean_stale_sessions());
  expect_usage(kFiles + 1);
}

}  // namespace
}  // namespace cider::meta
