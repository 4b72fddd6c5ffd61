// Broken connections, outages and restarts: an operation is applied once or not at all, its caller is told
// which, and nothing is applied late.
#include <signal.h>

#include <future>
#include <thread>

#include "meta/testing/sql_servers.h"
#include "meta/testing/two_clients.h"

namespace cider::meta::sql::server {
namespace {

using testing::write;
using Fault = testing::UnixProxy::Fault;
using namespace std::chrono_literals;

template <class Kind>
class ServerFaultTest : public ::testing::Test, protected testing::TwoClients {
 protected:
  using Server = Kind::Server;

  void SetUp() override {
    make_volume(server_.url());
    a_ = client_of(Server::url_at(proxy_.folder()));
    b_ = client_of(server_.url());
  }
  void TearDown() override {
    ::kill(server_.pid(), SIGCONT);
    proxy_.go_away(false);
    end_clients();
    expect_consistent(Kind::dump(server_.url()));
  }

  Server server_;
  Kind::Proxy proxy_{server_.socket()};
};

TYPED_TEST_SUITE(ServerFaultTest, testing::SqlServers, testing::NameOfServer);

TYPED_TEST(ServerFaultTest, AReplyThatIsLostIsNoLostSuccess) {
  Ino dir = this->a_->mknod(Caller{}, kRootIno, "d", NewNode{FileType::directory, 0755, 0, {}})->ino;
  Ino ino = this->file("f");
  const auto struck = [&](bool done) {
    EXPECT_TRUE(done);
    EXPECT_TRUE(this->proxy_.has_struck());
  };
  this->proxy_.strike(Fault::lose_reply);
  struck(this->a_->link(Caller{}, ino, dir, "second").has_value());
  EXPECT_EQ(this->b_->getattr(ino)->nlink, 2u);
  this->proxy_.strike(Fault::lose_reply);
  struck(this->unlink("f") == 0);
  this->proxy_.strike(Fault::lose_reply);
  struck(this->a_->rename(Caller{}, dir, "second", kRootIno, "third", 0).has_value());
  this->proxy_.strike(Fault::lose_reply);
  struck(this->a_->rmdir(Caller{}, kRootIno, "d").has_value());
  this->proxy_.strike(Fault::lose_reply);
  struck(this->file("new") != 0);
  this->proxy_.strike(Fault::lose_reply);
  struck(this->a_->setxattr(Caller{}, ino, "user.a", "1", XattrMode::create).has_value());
}

// The server never gets what was sent, until it comes late, over the old connection.
TYPED_TEST(ServerFaultTest, ARequestThatIsLostIsMadeAgainAndNotTwice) {
  this->file("f");
  this->file("g");
  this->proxy_.strike(Fault::hold_request);
  EXPECT_EQ(this->unlink("f"), 0);
  EXPECT_TRUE(this->proxy_.has_struck());
  ASSERT_TRUE(this->b_->mknod(Caller{}, kRootIno, "f", NewNode{}));
  this->proxy_.deliver_held();
  EXPECT_TRUE(this->exists("f"));
}

// Usage is flushed in a transaction of its own: whichever answer is lost, it counts once.
TYPED_TEST(ServerFaultTest, UsageIsCountedOnce) {
  ASSERT_TRUE(this->a_->store().sync());
  const int64_t before = this->b_->store().counter(Counter::total_inodes).value();
  for (Fault fault : {Fault::lose_reply, Fault::hold_request}) {
    ASSERT_TRUE(write(this->a_->store(), AddUsage{0, 1}));
    this->proxy_.strike(fault);
    ASSERT_TRUE(this->a_->store().sync());
    this->proxy_.deliver_held();
  }
  EXPECT_EQ(this->b_->store().counter(Counter::total_inodes).value(), before + 2);
  ASSERT_TRUE(write(this->a_->store(), AddUsage{0, -2}));
}

// The caller gives up while nobody knows; the next commit finds out.
TYPED_TEST(ServerFaultTest, WhatWasGivenUpIsSettledBeforeTheNextCommit) {
  const Ino ino = this->file("f");
  const uint64_t id = this->a_->next_slice_id().value();
  const ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
  std::stop_source interrupt;
  this->proxy_.strike(Fault::lose_reply, [&] {
    this->proxy_.go_away(true);
    interrupt.request_stop();
  });
  const Status given_up = this->a_->store().run(
      [&](Transaction& tx) -> Status {
        tx.write(AppendSlices{ino, 0, encode_slices({slice.slice}), nullptr});
        tx.write(InsertSliceRef{id, 512});
        tx.write(PatchNode{.ino = ino, .set = field::length, .values = Attr{.length = 512}});
        tx.write(AddDirStat{kRootIno, {512, 0, 0}});
        return {};
      },
      interrupt.get_token());
  EXPECT_EQ(code_of(given_up), EINTR);
  this->proxy_.go_away(false);
  EXPECT_EQ(this->b_->chunk(ino, 0)->size(), 1u) << "it was done";
  ASSERT_TRUE(this->a_->write(ino, std::span(&slice, 1), Time{1, 0})) << "as the data path does it";
  EXPECT_EQ(this->b_->chunk(ino, 0)->size(), 1u) << "once";
}

TYPED_TEST(ServerFaultTest, AnOutageIsWaitedFor) {
  this->file("f");
  this->server_.crash();
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto interrupted = std::async(
      std::launch::async, [&] { return code_of(this->a_->mknod(caller, kRootIno, "never", NewNode{})); });
  auto patient = std::async(std::launch::async, [&] { return this->unlink("f"); });
  std::this_thread::sleep_for(100ms);
  interrupt.request_stop();
  EXPECT_EQ(interrupted.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(interrupted.get(), EINTR);
  this->server_.start();
  EXPECT_EQ(patient.get(), 0);
  EXPECT_FALSE(this->exists("f"));
}

TYPED_TEST(ServerFaultTest, WhoWaitsForALockCanBeInterrupted) {
  this->file("warm");
  std::jthread holder([&] {
    try {
      TypeParam::hold(this->server_);
    } catch (const std::runtime_error&) {
      // it is ended below
    }
  });
  while (!TypeParam::is_held(this->server_)) std::this_thread::sleep_for(10ms);
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto call = std::async(std::launch::async,
                         [&] { return code_of(this->a_->mknod(caller, kRootIno, "n", NewNode{})); });
  std::this_thread::sleep_for(100ms);
  interrupt.request_stop();
  EXPECT_EQ(call.get(), EINTR);
  TypeParam::release(this->server_);
  EXPECT_FALSE(this->exists("n"));
}

// Restarts amid changes of many threads: each change is there or not, as its caller was told.
TYPED_TEST(ServerFaultTest, RestartsLoseNoSuccess) {
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  std::mutex mutex;
  std::vector<std::string> made;
  std::atomic<int> refused{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        const std::string name = std::to_string(t) + "." + std::to_string(i);
        const int code = code_of(this->a_->mknod(Caller{}, kRootIno, name, NewNode{}));
        if (code != 0) ++refused;
        std::lock_guard lock(mutex);
        if (code == 0) made.push_back(name);
      }
    });
  }
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(300ms);
    this->server_.restart();
  }
  std::this_thread::sleep_for(300ms);
  stop = true;
  threads.clear();
  EXPECT_EQ(refused, 0);
  EXPECT_GT(made.size(), 10U);
  for (const std::string& name : made) EXPECT_TRUE(this->exists(name)) << name;
  size_t listed = 0;
  DirCursor cursor;
  while (!cursor.at_end) listed += this->b_->list_dir(kRootIno, &cursor, 1000, false)->size();
  EXPECT_EQ(listed, made.size());
}

}  // namespace
}  // namespace cider::meta::sql::server
