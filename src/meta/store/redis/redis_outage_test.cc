// What callers get while the server is silent, refuses or has lost what it acknowledged.
#include <gtest/gtest.h>
#include <signal.h>

#include <future>
#include <set>
#include <thread>

#include "base/testing/stop_process.h"
#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

using testing::FaultProxy;
using Fault = FaultProxy::Fault;
using namespace std::chrono_literals;

class RedisOutageTest : public testing::RedisTest {
 protected:
  void TearDown() override {
    ::kill(server_.pid(), SIGCONT);
    RedisTest::TearDown();
  }
  // Far longer than an interrupted call needs, far shorter than the client's patience.
  static constexpr auto kSoon = 20s;
};

// The reply of a commit is lost, and then the server refuses: whoever takes that for "not done" deletes the
// blocks of a committed slice.
TEST_F(RedisOutageTest, ARefusalAfterALostReplyTellsNothing) {
  Ino ino = file("f");
  const uint64_t id = a_->next_slice_id().value();
  const ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
  proxy_.strike(Fault::lose_reply,
                [&] { ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", "sesame")); });
  EXPECT_EQ(code_of(a_->write(ino, std::span(&slice, 1), Time{1, 0})), EIO);
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", ""));
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 1u) << "it was done";
  ASSERT_TRUE(a_->write(ino, std::span(&slice, 1), Time{1, 0})) << "as the data path does it";
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 1u) << "once";
}

TEST_F(RedisOutageTest, ARefusalThatTellsIsToldAsItIs) {
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", "sesame"));
  proxy_.go_away(true);
  std::this_thread::sleep_for(50ms);
  proxy_.go_away(false);
  EXPECT_EQ(code_of(a_->lookup(Caller{}, kRootIno, "f")), EACCES);
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", ""));
}

TEST_F(RedisOutageTest, CallsToASilentServerEndWhenTheirCallersAreInterrupted) {
  file("warm");
  cider::testing::stop_process(server_.pid());
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  std::vector<std::future<int>> calls;
  for (int i = 0; i < 12; ++i) {
    calls.push_back(std::async(std::launch::async, [&, i] {
      return code_of(a_->mknod(caller, kRootIno, "never" + std::to_string(i), NewNode{}));
    }));
  }
  std::this_thread::sleep_for(100ms);
  interrupt.request_stop();
  const auto end = std::chrono::steady_clock::now() + kSoon;
  for (auto& call : calls) EXPECT_EQ(call.wait_until(end), std::future_status::ready);
  // More of them: these find the connections gone and the server not answering a new one.
  for (int i = 0; i < 12; ++i) EXPECT_EQ(code_of(a_->mknod(caller, kRootIno, "n", NewNode{})), EINTR);
  ::kill(server_.pid(), SIGCONT);
  for (auto& call : calls) EXPECT_EQ(call.get(), EINTR);
}

// And what was interrupted goes on where it was.
TEST_F(RedisOutageTest, ListingsAndSliceListsEndWhenTheirCallersAreInterrupted) {
  constexpr size_t kFiles = 1500;
  for (size_t i = 0; i < kFiles; ++i) ASSERT_NE(file(std::to_string(i)), 0u);
  std::set<std::string> listed;
  DirCursor cursor;
  const auto take = [&](std::stop_token stop) {
    auto page = a_->list_dir(kRootIno, &cursor, 100, true, stop);
    if (!page) return page.error().code;
    for (const ListedEntry& entry : *page) EXPECT_TRUE(listed.insert(entry.name).second);
    return 0;
  };
  ASSERT_EQ(take({}), 0);
  cider::testing::stop_process(server_.pid());
  std::stop_source interrupt;
  auto listing = std::async(std::launch::async, [&] { return take(interrupt.get_token()); });
  auto reading =
      std::async(std::launch::async, [&] { return code_of(a_->chunk(kRootIno, 0, interrupt.get_token())); });
  std::this_thread::sleep_for(100ms);
  interrupt.request_stop();
  const auto end = std::chrono::steady_clock::now() + kSoon;
  EXPECT_EQ(listing.wait_until(end), std::future_status::ready);
  EXPECT_EQ(reading.wait_until(end), std::future_status::ready);
  ::kill(server_.pid(), SIGCONT);
  EXPECT_EQ(listing.get(), EINTR);
  EXPECT_EQ(reading.get(), EINTR);
  while (!cursor.at_end) ASSERT_EQ(take({}), 0);
  EXPECT_EQ(listed.size(), kFiles);
}

// The server refuses for as long as it takes; then the next heartbeat makes up for it.
TEST_F(RedisOutageTest, AReleaseThatFailedIsMadeUpFor) {
  auto c = client_of(proxy_.url(kDb), 0, 1s);
  const Ino ino = file("f");
  constexpr uint64_t kOwner = 5;
  const PlockRange all{LockKind::write, 1, 0, INT64_MAX};
  const auto flock = [&](Meta& meta, LockKind kind) {
    int code = -1;
    meta.flock(Caller{}, ino, kOwner, kind, false, [&](Status got) { code = code_of(got); });
    return code;
  };
  const auto setlk = [&](Meta& meta, LockKind kind) {
    int code = -1;
    PlockRange range = all;
    range.kind = kind;
    meta.setlk(Caller{}, ino, kOwner, range, false, [&](Status got) { code = code_of(got); });
    return code;
  };
  ASSERT_EQ(flock(*c, LockKind::write), 0);
  ASSERT_EQ(setlk(*c, LockKind::write), 0);
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", "sesame"));
  proxy_.go_away(true);
  std::this_thread::sleep_for(50ms);
  proxy_.go_away(false);
  EXPECT_NE(flock(*c, LockKind::unlock), 0);
  EXPECT_NE(setlk(*c, LockKind::unlock), 0);
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "requirepass", ""));
  // Locked again before the heartbeat: that lock is not the one that is released late.
  EXPECT_EQ(flock(*c, LockKind::write), 0);
  const auto end = std::chrono::steady_clock::now() + kSoon;
  int got;
  while ((got = setlk(*b_, LockKind::write)) == EAGAIN && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(20ms);
  EXPECT_EQ(got, 0);
  EXPECT_EQ(flock(*b_, LockKind::write), EAGAIN);
  EXPECT_EQ(flock(*c, LockKind::unlock), 0);
  EXPECT_EQ(flock(*b_, LockKind::write), 0);
  c->stop();
}

TEST_F(RedisOutageTest, AServerThatLacksReplicasIsWaitedFor) {
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "min-replicas-to-write", 1));
  auto waiting = std::async(std::launch::async, [&] { return file("patient"); });
  std::this_thread::sleep_for(100ms);
  ASSERT_TRUE(direct_->run("CONFIG", "SET", "min-replicas-to-write", 0));
  EXPECT_NE(waiting.get(), 0u);
}

// Another client was quicker to come back, and was given the numbers that we hold a range of.
TEST_F(RedisOutageTest, TheRestOfARangeIsNotUsedAfterAReconnect) {
  ASSERT_GT(a_->next_slice_id().value(), 0u);
  ASSERT_TRUE(direct_->run("SET", "nextchunk", 1));
  auto c = client_of(server_.url(kDb));
  std::set<uint64_t> theirs;
  for (int i = 0; i < 100; ++i) theirs.insert(c->next_slice_id().value());
  proxy_.go_away(true);
  std::this_thread::sleep_for(50ms);
  proxy_.go_away(false);
  ASSERT_TRUE(a_->getattr(kRootIno));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(theirs.contains(a_->next_slice_id().value()));
  c->stop();
}

TEST_F(RedisOutageTest, ARuleThatWasLostIsMadeAgain) {
  const Ino ino = file("f");
  const AclRule rule{.owner = 6, .group = 4, .mask = 6, .other = 0, .users = {{1000, 6}}};
  const AclRule other{.owner = 6, .group = 4, .mask = 6, .other = 0, .users = {{2000, 6}}};
  ASSERT_TRUE(a_->set_acl(Caller{}, ino, AclKind::access, rule, false));
  ASSERT_TRUE(direct_->run("DEL", "acl", "aclMaxId"));
  ASSERT_TRUE(b_->store().intern_acl(other));  // is given the id that the rule had
  proxy_.go_away(true);
  std::this_thread::sleep_for(50ms);
  proxy_.go_away(false);
  const Ino second = file("g");
  ASSERT_TRUE(a_->set_acl(Caller{}, second, AclKind::access, rule, false));
  EXPECT_EQ(b_->get_acl(second, AclKind::access)->users, rule.users);
  ASSERT_TRUE(a_->set_acl(Caller{}, ino, AclKind::access, rule, false));
}

TEST(RedisErrors, AreKnownFromWithinScriptsToo) {
  const auto error = [](std::string text) {
    redis::ReplyReader reader;
    EXPECT_TRUE(reader.feed("-" + text + "\r\n"));
    const redis::Reply reply = **reader.next();
    return redis::error_of(reply).code;
  };
  EXPECT_EQ(error("READONLY You can't write against a read only replica."), EAGAIN);
  EXPECT_EQ(
      error(
          "ERR Error running script (call to f_1): @user_script:260: @user_script: 260: -READONLY You can't "
          "write against a read only replica."),
      EAGAIN);
  EXPECT_EQ(error("ERR Error running script (call to f_1): @user_script:2: @user_script: 2: -OOM command not "
                  "allowed"),
            ENOSPC);
  EXPECT_EQ(error("NOREPLICAS Not enough good replicas to write."), EAGAIN);
  EXPECT_EQ(error("ERR unknown command"), EIO);
}

}  // namespace
}  // namespace cider::meta
