// Broken connections, outages and restarts: an operation is applied once or not at all, its caller is told
// which, and nothing is applied late.
#include <signal.h>

#include <future>
#include <thread>

#include "meta/testing/consistency.h"
#include "meta/testing/postgres_proxy.h"
#include "meta/testing/postgres_testing.h"
#include "meta/testing/test_volume.h"
#include "meta/testing/volume_dump.h"

namespace cider::meta::postgres {
namespace {

using testing::PostgresProxy;
using testing::PostgresServer;
using Fault = PostgresProxy::Fault;
using namespace std::chrono_literals;

class PostgresFaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = open(server_.url());
    Volume volume;
    volume.name = "faults";
    volume.storage = "mem";
    volume.trash_days = 0;
    ASSERT_TRUE(format_volume(*store, &volume));
    a_ = client_of(PostgresServer::url_at(proxy_.folder()));
    b_ = client_of(server_.url());
  }
  void TearDown() override {
    ::kill(server_.pid(), SIGCONT);
    proxy_.go_away(false);
    a_->stop();
    b_->stop();
    a_.reset();
    b_.reset();
    auto dump = testing::dump_postgres(server_.url());
    ASSERT_TRUE(dump);
    for (const std::string& problem : testing::inconsistencies(*dump)) ADD_FAILURE() << problem;
  }
  static std::unique_ptr<Meta> client_of(const std::string& url) {
    auto store = open(url);
    Volume volume = load_volume(*store).value();
    auto meta = std::make_unique<Meta>(std::move(store), volume,
                                       MetaOptions{.background_jobs = false, .max_deletes = 1});
    DataCallbacks data;
    data.delete_slice = [](uint64_t, uint32_t) { return Status{}; };
    if (!meta->start(data)) throw std::runtime_error("the client does not start");
    return meta;
  }
  Ino file(const std::string& name) {
    auto made = a_->mknod(Caller{}, kRootIno, name, NewNode{});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? made->ino : 0;
  }
  int unlink(const std::string& name, const Caller& caller = {}) {
    return code_of(a_->unlink(caller, kRootIno, name));
  }
  bool exists(const std::string& name) { return b_->lookup(Caller{}, kRootIno, name).has_value(); }

  PostgresServer server_;
  PostgresProxy proxy_{server_.socket()};
  std::unique_ptr<Meta> a_;
  std::unique_ptr<Meta> b_;
};

TEST_F(PostgresFaultTest, AReplyThatIsLostIsNoLostSuccess) {
  Ino dir = a_->mknod(Caller{}, kRootIno, "d", NewNode{FileType::directory, 0755, 0, {}})->ino;
  Ino ino = file("f");
  const auto struck = [&](bool done) {
    EXPECT_TRUE(done);
    EXPECT_TRUE(proxy_.has_struck());
  };
  proxy_.strike(Fault::lose_reply);
  struck(a_->link(Caller{}, ino, dir, "second").has_value());
  EXPECT_EQ(b_->getattr(ino)->nlink, 2u);
  proxy_.strike(Fault::lose_reply);
  struck(unlink("f") == 0);
  proxy_.strike(Fault::lose_reply);
  struck(a_->rename(Caller{}, dir, "second", kRootIno, "third", 0).has_value());
  proxy_.strike(Fault::lose_reply);
  struck(a_->rmdir(Caller{}, kRootIno, "d").has_value());
  proxy_.strike(Fault::lose_reply);
  struck(file("new") != 0);
  proxy_.strike(Fault::lose_reply);
  struck(a_->setxattr(Caller{}, ino, "user.a", "1", XattrMode::create).has_value());
}

// The server never gets what was sent, until it comes late, over the old connection.
TEST_F(PostgresFaultTest, ARequestThatIsLostIsMadeAgainAndNotTwice) {
  file("f");
  file("g");
  proxy_.strike(Fault::hold_request);
  EXPECT_EQ(unlink("f"), 0);
  EXPECT_TRUE(proxy_.has_struck());
  ASSERT_TRUE(b_->mknod(Caller{}, kRootIno, "f", NewNode{}));
  proxy_.deliver_held();
  EXPECT_TRUE(exists("f"));
}

// Usage is flushed in a transaction of its own: whichever answer is lost, it counts once.
TEST_F(PostgresFaultTest, UsageIsCountedOnce) {
  ASSERT_TRUE(a_->store().sync());
  const int64_t before = b_->store().counter(Counter::total_inodes).value();
  for (Fault fault : {Fault::lose_reply, Fault::hold_request}) {
    ASSERT_TRUE(write(a_->store(), AddUsage{0, 1}));
    proxy_.strike(fault);
    ASSERT_TRUE(a_->store().sync());
    proxy_.deliver_held();
  }
  EXPECT_EQ(b_->store().counter(Counter::total_inodes).value(), before + 2);
  ASSERT_TRUE(write(a_->store(), AddUsage{0, -2}));
}

// The caller gives up while nobody knows; the next commit finds out.
TEST_F(PostgresFaultTest, WhatWasGivenUpIsSettledBeforeTheNextCommit) {
  const Ino ino = file("f");
  const uint64_t id = a_->next_slice_id().value();
  const ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
  std::stop_source interrupt;
  proxy_.strike(Fault::lose_reply, [&] {
    proxy_.go_away(true);
    interrupt.request_stop();
  });
  const Status given_up = a_->store().run(
      [&](Transaction& tx) -> Status {
        tx.write(AppendSlices{ino, 0, encode_slices({slice.slice}), nullptr});
        tx.write(InsertSliceRef{id, 512});
        tx.write(PatchNode{.ino = ino, .set = field::length, .values = Attr{.length = 512}});
        tx.write(AddDirStat{kRootIno, {512, 0, 0}});
        return {};
      },
      interrupt.get_token());
  EXPECT_EQ(code_of(given_up), EINTR);
  proxy_.go_away(false);
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 1u) << "it was done";
  ASSERT_TRUE(a_->write(ino, std::span(&slice, 1), Time{1, 0})) << "as the data path does it";
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 1u) << "once";
}

TEST_F(PostgresFaultTest, AnOutageIsWaitedFor) {
  file("f");
  server_.crash();
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto interrupted = std::async(std::launch::async,
                                [&] { return code_of(a_->mknod(caller, kRootIno, "never", NewNode{})); });
  auto patient = std::async(std::launch::async, [&] { return unlink("f"); });
  std::this_thread::sleep_for(100ms);
  interrupt.request_stop();
  EXPECT_EQ(interrupted.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(interrupted.get(), EINTR);
  server_.start();
  EXPECT_EQ(patient.get(), 0);
  EXPECT_FALSE(exists("f"));
}

TEST_F(PostgresFaultTest, WhoWaitsForALockCanBeInterrupted) {
  file("warm");
  std::jthread holder([&] {
    try {
      server_.sql("BEGIN; LOCK jfs_node; SELECT pg_sleep(1000); COMMIT");
    } catch (const std::runtime_error&) {
      // it is ended below
    }
  });
  const std::string held =
      "SELECT count(*) FROM pg_locks WHERE granted AND mode='AccessExclusiveLock' AND "
      "relation='jfs_node'::regclass";
  while (server_.sql(held) != "1\n") std::this_thread::sleep_for(10ms);
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto call =
      std::async(std::launch::async, [&] { return code_of(a_->mknod(caller, kRootIno, "n", NewNode{})); });
  std::this_thread::sleep_for(100ms);
  interrupt.request_stop();
  EXPECT_EQ(call.get(), EINTR);
  server_.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1000)%' AND "
      "pid<>pg_backend_pid()");
  EXPECT_FALSE(exists("n"));
}

// Restarts amid changes of many threads: each change is there or not, as its caller was told.
TEST_F(PostgresFaultTest, RestartsLoseNoSuccess) {
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  std::mutex mutex;
  std::vector<std::string> made;
  std::atomic<int> refused{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        const std::string name = std::to_string(t) + "." + std::to_string(i);
        const int code = code_of(a_->mknod(Caller{}, kRootIno, name, NewNode{}));
        if (code != 0) ++refused;
        std::lock_guard lock(mutex);
        if (code == 0) made.push_back(name);
      }
    });
  }
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(300ms);
    server_.restart();
  }
  std::this_thread::sleep_for(300ms);
  stop = true;
  threads.clear();
  EXPECT_EQ(refused, 0);
  EXPECT_GT(made.size(), 10U);
  for (const std::string& name : made) EXPECT_TRUE(exists(name)) << name;
  size_t listed = 0;
  DirCursor cursor;
  while (!cursor.at_end) listed += b_->list_dir(kRootIno, &cursor, 1000, false)->size();
  EXPECT_EQ(listed, made.size());
}

}  // namespace
}  // namespace cider::meta::postgres
