// Broken connections, outages and restarts of etcd and TiKV: an operation is applied once or not at all, its
// caller is told which, and nothing is applied late.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "base/testing/stop_process.h"
#include "meta/store/kv/etcd/etcd_database.h"
#include "meta/store/kv/tikv/tikv_database.h"
#include "meta/testing/etcd_server.h"
#include "meta/testing/grpc_proxy.h"
#include "meta/testing/redis_server.h"
#include "meta/testing/store_calls.h"
#include "meta/testing/tikv_server.h"
#include "meta/testing/two_clients.h"

namespace cider::meta::kv {
namespace {

using meta::testing::EtcdServer;
using meta::testing::GrpcProxy;
using meta::testing::TikvServer;
using Fault = GrpcProxy::Fault;
using meta::testing::write;
using namespace std::chrono_literals;

// A server of the test's own, and a proxy before it.
class Cluster {
 public:
  virtual ~Cluster() = default;
  virtual GrpcProxy& proxy() = 0;
  virtual std::string url() const = 0;
  virtual std::string url_of_proxy() = 0;
  virtual pid_t pid() const = 0;
  virtual void kill() = 0;
  virtual void start() = 0;
  virtual Result<std::shared_ptr<Database>> open() = 0;  // for reading
  virtual Result<std::shared_ptr<Database>> open_at(const std::string& url) = 0;
};

class EtcdCluster final : public Cluster {
 public:
  GrpcProxy& proxy() override { return proxy_; }
  std::string url() const override { return server_.url("/v"); }
  std::string url_of_proxy() override { return "etcd://127.0.0.1:" + proxy_.port() + "/v"; }
  pid_t pid() const override { return server_.pid(); }
  void kill() override { server_.stop(SIGKILL); }
  void start() override { server_.start(); }
  Result<std::shared_ptr<Database>> open() override { return open_etcd(url(), true); }
  Result<std::shared_ptr<Database>> open_at(const std::string& url) override { return open_etcd(url, false); }

 private:
  EtcdServer server_;
  GrpcProxy proxy_{server_.port(), meta::testing::is_etcd_commit};
};

class TikvCluster final : public Cluster {
 public:
  explicit TikvCluster(std::vector<std::string> splits) : server_(std::move(splits), port_, proxy_.port()) {}
  GrpcProxy& proxy() override { return proxy_; }
  std::string url() const override { return server_.url("v"); }
  std::string url_of_proxy() override { return "tikv://127.0.0.1:" + proxy_.port() + "/v"; }
  pid_t pid() const override { return server_.pid(); }
  void kill() override { server_.stop(SIGKILL); }
  void start() override { server_.start(); }
  Result<std::shared_ptr<Database>> open() override { return open_tikv(url(), true); }
  Result<std::shared_ptr<Database>> open_at(const std::string& url) override { return open_tikv(url, false); }

 private:
  const std::string port_ = meta::testing::free_port();
  GrpcProxy proxy_{port_, meta::testing::is_tikv_prewrite};
  TikvServer server_;
};

// tikv_parts: the root's records lie in a region of their own, so that changes take a lock in two.
class KvFaultTest : public ::testing::TestWithParam<std::string>, protected meta::testing::TwoClients {
 protected:
  void SetUp() override {
    if (GetParam() == "etcd") {
      cluster_ = std::make_unique<EtcdCluster>();
    } else if (!TikvServer::is_there()) {
      GTEST_SKIP() << "there is no tikv-server; scripts/test.sh servers builds it";
    } else {
      const std::string border =
          "v\xFD"
          "A\x02";
      cluster_ = std::make_unique<TikvCluster>(GetParam() == "tikv" ? std::vector<std::string>{}
                                                                    : std::vector<std::string>{border});
    }
    make_volume(cluster_->url());
    a_ = client_of(cluster_->url_of_proxy(), /*max_deletes=*/0);
    b_ = client_of(cluster_->url(), /*max_deletes=*/0);
  }
  void TearDown() override {
    if (!cluster_) return;
    ::kill(cluster_->pid(), SIGCONT);
    cluster_->proxy().go_away(false);
    end_clients();
    auto database = cluster_->open();
    ASSERT_TRUE(database);
    expect_consistent(meta::testing::dump_kv(**database));
  }
  GrpcProxy& proxy() { return cluster_->proxy(); }
  // Strikes the next change of a_, and nothing that it writes in the background.
  void strike(Fault fault, int part = 0, std::function<void()> then = {}) {
    ASSERT_TRUE(a_->store().sync());
    proxy().strike(fault, std::move(then), part);
  }
  // The requests of one change that a fault can strike: in the first region, in the second.
  int parts() const { return GetParam() == "tikv_parts" ? 2 : 1; }
  Ino folder(const std::string& name) {
    return a_->mknod(Caller{}, kRootIno, name, NewNode{FileType::directory, 0755, 0, {}})->ino;
  }
  size_t files() {
    size_t listed = 0;
    DirCursor cursor;
    while (!cursor.at_end) listed += b_->list_dir(kRootIno, &cursor, 1000, false)->size();
    return listed;
  }
  // While something is done to the server or the connections, four threads make files and remove every third:
  // each is there or not, as its caller was told.
  template <class Disturb>
  void change_amid(Disturb disturb) {
    std::atomic<bool> stop{false};
    std::mutex mutex;
    std::vector<std::string> made;
    std::vector<std::string> removed;
    std::atomic<int> refused{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; !stop; ++i) {
          const std::string name = std::to_string(t) + "." + std::to_string(i);
          bool done = a_->mknod(Caller{}, kRootIno, name, NewNode{}).has_value();
          if (done && i % 3 == 0) done = unlink(name) == 0;
          if (!done) ++refused;
          std::lock_guard lock(mutex);
          if (done) (i % 3 == 0 ? removed : made).push_back(name);
        }
      });
    }
    disturb();
    std::this_thread::sleep_for(300ms);
    stop = true;
    threads.clear();
    EXPECT_EQ(refused, 0);
    EXPECT_GT(made.size(), 10U);
    for (const std::string& name : made) EXPECT_TRUE(exists(name)) << name;
    for (const std::string& name : removed) EXPECT_FALSE(exists(name)) << name;
    EXPECT_EQ(files(), made.size());
  }

  std::unique_ptr<Cluster> cluster_;
};

INSTANTIATE_TEST_SUITE_P(Engines, KvFaultTest, ::testing::Values("etcd", "tikv", "tikv_parts"),
                         [](const auto& test) { return test.param; });

TEST_P(KvFaultTest, AReplyThatIsLostIsNoLostSuccess) {
  for (int part = 0; part < parts(); ++part) {
    const auto struck = [&](const char* what, auto operation) {
      strike(Fault::lose_reply, part);
      EXPECT_TRUE(operation()) << what;
      EXPECT_TRUE(proxy().has_struck()) << what;
    };
    const Ino dir = folder("d");
    const Ino ino = file("f");
    struck("link", [&] { return a_->link(Caller{}, ino, kRootIno, "second").has_value(); });
    EXPECT_EQ(b_->getattr(ino)->nlink, 2u);
    struck("unlink", [&] { return unlink("f") == 0; });
    struck("rename", [&] { return a_->rename(Caller{}, kRootIno, "second", dir, "f", 0).has_value(); });
    ASSERT_TRUE(a_->unlink(Caller{}, dir, "f"));
    struck("rmdir", [&] { return a_->rmdir(Caller{}, kRootIno, "d").has_value(); });
    struck("create", [&] { return file("new") != 0; });
    EXPECT_EQ(unlink("new"), 0);
    EXPECT_EQ(files(), 0U);
  }
}

// The server never gets what was sent, until it comes late, over the old connection.
TEST_P(KvFaultTest, ARequestThatIsLostIsMadeAgainAndNotTwice) {
  for (int part = 0; part < parts(); ++part) {
    file("f");
    strike(Fault::hold_request, part);
    EXPECT_EQ(unlink("f"), 0);
    EXPECT_TRUE(proxy().has_struck());
    ASSERT_TRUE(b_->mknod(Caller{}, kRootIno, "f", NewNode{}));
    proxy().deliver_held();
    EXPECT_TRUE(exists("f"));
    EXPECT_EQ(unlink("f"), 0);
    EXPECT_FALSE(exists("f"));
  }
}

// Its caller gave up while nobody knew. The client's next change settles it, be it of something else.
TEST_P(KvFaultTest, WhatWasGivenUpIsNotMadeLate) {
  const Ino dir = folder("d");
  for (int part = 0; part < parts(); ++part) {
    file("f");
    std::stop_source interrupt;
    Caller caller;
    caller.interrupt = interrupt.get_token();
    strike(Fault::hold_request, part, [&] {
      proxy().go_away(true);
      interrupt.request_stop();
    });
    EXPECT_EQ(unlink("f", caller), EIO) << "it is not known";
    EXPECT_TRUE(proxy().has_struck());
    proxy().go_away(false);
    const std::string other = "other" + std::to_string(part);
    ASSERT_TRUE(a_->mknod(Caller{}, dir, other, NewNode{}));
    proxy().deliver_held();
    EXPECT_TRUE(exists("f"));
    EXPECT_EQ(unlink("f"), 0);
  }
}

// The answer is lost at the moment of the interruption, or the request. What waits for it is not over yet.
TEST_P(KvFaultTest, WhoIsInterruptedHearsWhatBecameOfTheCommit) {
  const auto database = cluster_->open_at(cluster_->url_of_proxy()).value();
  const auto put = [&](const Value& value, const Interrupt& stop) {
    Changes changes;
    for (const char* key : {"A\x01 of no inode", "A\x03 of no inode"}) changes.keys[key] = value;
    return database->commit(**database->working_view({}), {}, changes, stop);
  };
  const auto is_there = [&] {
    const std::string key = "A\x03 of no inode";
    return database->view({}).value()->get({&key, 1}).value().front().has_value();
  };
  for (Fault fault : {Fault::lose_reply, Fault::hold_request}) {
    for (int part = 0; part < parts(); ++part) {
      ASSERT_EQ(put(std::nullopt, {}), Committed::done);
      std::stop_source now;
      strike(fault, part, [&] { now.request_stop(); });
      const auto told = put("there", {now.get_token(), {}});
      EXPECT_TRUE(proxy().has_struck());
      ASSERT_TRUE(told) << told.error().to_string();
      EXPECT_NE(*told, Committed::unknown);
      EXPECT_EQ(is_there(), *told == Committed::done);
      proxy().deliver_held();
      EXPECT_EQ(is_there(), *told == Committed::done);
    }
  }
  ASSERT_EQ(put(std::nullopt, {}), Committed::done);
}

TEST_P(KvFaultTest, WhoIsInterruptedBeforeTheCommitWasSentHearsThatItWasNot) {
  const auto database = cluster_->open_at(cluster_->url()).value();
  const auto view = database->working_view({}).value();
  const std::string key = "A\x01 of no inode";
  ASSERT_TRUE(view->get({&key, 1}));  // so that the commit need not wait for a timestamp
  Changes changes;
  changes.keys[key] = "there";
  std::stop_source now;
  now.request_stop();
  EXPECT_EQ(code_of(database->commit(*view, {}, changes, {now.get_token(), {}})), EINTR);
  EXPECT_FALSE(database->view({}).value()->get({&key, 1}).value().front());
}

// Usage is flushed in a transaction of its own: whichever answer is lost, it counts once.
TEST_P(KvFaultTest, UsageIsCountedOnce) {
  ASSERT_TRUE(a_->store().sync());
  const int64_t before = b_->store().counter(Counter::total_inodes).value();
  for (Fault fault : {Fault::lose_reply, Fault::hold_request}) {
    ASSERT_TRUE(write(a_->store(), AddUsage{0, 1}));
    proxy().strike(fault);
    ASSERT_TRUE(a_->store().sync());
    EXPECT_TRUE(proxy().has_struck());
    proxy().deliver_held();
  }
  EXPECT_EQ(b_->store().counter(Counter::total_inodes).value(), before + 2);
  ASSERT_TRUE(write(a_->store(), AddUsage{0, -2}));
}

// The caller gives up while nobody knows; the data path commits the slice again, as long as it takes.
TEST_P(KvFaultTest, AWriteThatWasGivenUpIsMadeOnce) {
  const Ino ino = file("f");
  ASSERT_TRUE(a_->truncate(Caller{}, ino, 4096, true, false));
  size_t slices = b_->chunk(ino, 0)->size();
  for (Fault fault : {Fault::lose_reply, Fault::hold_request}) {
    const uint64_t id = a_->next_slice_id().value();
    const ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
    std::stop_source interrupt;
    strike(fault, 0, [&] {
      proxy().go_away(true);
      interrupt.request_stop();
    });
    const Status given_up = a_->store().run(
        [&](Transaction& tx) -> Status {
          tx.write(AppendSlices{ino, 0, encode_slices({slice.slice}), nullptr});
          tx.write(InsertSliceRef{id, 512});
          tx.write(PatchNode{.ino = ino, .set = field::mtime, .values = Attr{.mtime = Time{1, 0}}});
          return {};
        },
        interrupt.get_token());
    EXPECT_EQ(code_of(given_up), EIO);
    EXPECT_TRUE(proxy().has_struck());
    proxy().go_away(false);
    EXPECT_EQ(b_->chunk(ino, 0)->size(), slices + (fault == Fault::lose_reply ? 1 : 0));
    ASSERT_TRUE(a_->write(ino, std::span(&slice, 1), Time{1, 0}));
    EXPECT_EQ(b_->chunk(ino, 0)->size(), ++slices);
    proxy().deliver_held();
    EXPECT_EQ(b_->chunk(ino, 0)->size(), slices);
  }
}

TEST_P(KvFaultTest, AnOutageIsWaitedFor) {
  file("f");
  cluster_->kill();
  std::this_thread::sleep_for(200ms);  // until the clients have seen it
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto interrupted = std::async(std::launch::async,
                                [&] { return code_of(a_->mknod(caller, kRootIno, "never", NewNode{})); });
  auto patient = std::async(std::launch::async, [&] { return unlink("f"); });
  std::this_thread::sleep_for(100ms);
  interrupt.request_stop();
  EXPECT_EQ(interrupted.wait_for(20s), std::future_status::ready);
  const int code = interrupted.get();  // EIO where it was sent before the client saw that the server is gone
  EXPECT_TRUE(code == EINTR || code == EIO) << code;
  cluster_->start();
  EXPECT_EQ(patient.get(), 0);
  EXPECT_FALSE(exists("f"));
  EXPECT_FALSE(exists("never"));
}

// A server that says nothing, with the connections as they are. Who has sent a change is told EIO.
TEST_P(KvFaultTest, ASilentServerIsWaitedFor) {
  file("f");
  file("g");
  cider::testing::stop_process(cluster_->pid());
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto changing = std::async(std::launch::async, [&] { return unlink("g", caller); });
  auto reading =
      std::async(std::launch::async, [&] { return code_of(b_->getattr(kRootIno, caller.interrupt)); });
  auto patient = std::async(std::launch::async, [&] { return unlink("f"); });
  std::this_thread::sleep_for(300ms);
  interrupt.request_stop();
  EXPECT_EQ(changing.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(reading.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(reading.get(), EINTR);
  EXPECT_EQ(patient.wait_for(0s), std::future_status::timeout);
  ::kill(cluster_->pid(), SIGCONT);
  const int code = changing.get();
  EXPECT_TRUE(code == EINTR || code == EIO) << code;
  EXPECT_EQ(patient.get(), 0);
  EXPECT_FALSE(exists("f"));
  if (code == EINTR) {
    EXPECT_TRUE(exists("g"));
  }
}

TEST_P(KvFaultTest, KillsLoseNoSuccess) {
  change_amid([&] {
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(300ms);
      cluster_->kill();
      cluster_->start();
    }
  });
}

TEST_P(KvFaultTest, PausesLoseNoSuccess) {
  change_amid([&] {
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(200ms);
      cider::testing::stop_process(cluster_->pid());
      std::this_thread::sleep_for(400ms);
      ::kill(cluster_->pid(), SIGCONT);
    }
  });
}

TEST_P(KvFaultTest, BrokenConnectionsLoseNoSuccess) {
  change_amid([&] {
    for (int i = 0; i < 12; ++i) {
      std::this_thread::sleep_for(100ms);
      proxy().strike(i % 2 == 0 ? Fault::lose_reply : Fault::hold_request, {}, i % 3);
      if (i % 4 == 3) proxy().cut();
    }
    proxy().strike(Fault::none);
    proxy().deliver_held();
  });
}

}  // namespace
}  // namespace cider::meta::kv
