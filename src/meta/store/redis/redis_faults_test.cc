// Broken connections, outages and restarts: an operation is applied once or not at all, its caller is told
// which, and nothing is applied late.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "meta/store/redis/keys.h"
#include "meta/store/redis/transactions.h"
#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

using testing::FaultProxy;
using Fault = FaultProxy::Fault;

class RedisFaultTest : public testing::RedisTest {};

TEST_F(RedisFaultTest, AReplyThatIsLostIsNoLostSuccess) {
  Ino dir = a_->mknod(Caller{}, kRootIno, "d", NewNode{FileType::directory, 0755, 0, {}})->ino;
  Ino ino = file("f");
  proxy_.strike(Fault::lose_reply);
  EXPECT_TRUE(a_->link(Caller{}, ino, dir, "second"));
  EXPECT_EQ(b_->getattr(ino)->nlink, 2u);
  proxy_.strike(Fault::lose_reply);
  EXPECT_EQ(unlink(*a_, "f"), 0);
  proxy_.strike(Fault::lose_reply);
  EXPECT_TRUE(a_->rename(Caller{}, dir, "second", kRootIno, "third", 0));
  proxy_.strike(Fault::lose_reply);
  EXPECT_EQ(code_of(a_->rmdir(Caller{}, kRootIno, "d")), 0);
  proxy_.strike(Fault::lose_reply);
  EXPECT_NE(file("new"), 0u);
  proxy_.strike(Fault::lose_reply);
  EXPECT_TRUE(a_->setxattr(Caller{}, ino, "user.a", "1", XattrMode::create));
}

TEST_F(RedisFaultTest, ARequestThatComesAfterItsRetryIsNotAppliedAgain) {
  file("f");
  proxy_.strike(Fault::hold_request);
  EXPECT_EQ(unlink(*a_, "f"), 0);
  ASSERT_TRUE(b_->mknod(Caller{}, kRootIno, "f", NewNode{}));
  ASSERT_TRUE(b_->mknod(Caller{}, kRootIno, "kept", NewNode{}));
  proxy_.deliver_held();
  EXPECT_TRUE(exists("f"));
  file("other");  // in the slot that the unlink had

  int64_t before = b_->store().counter(Counter::total_inodes).value();
  const auto add = [](Transaction& tx) -> Status {  // holds whatever happened before
    tx.write(AddUsage{0, 1});
    return {};
  };
  proxy_.strike(Fault::hold_request);
  ASSERT_TRUE(a_->store().run(add, {}));
  proxy_.deliver_held();
  EXPECT_EQ(b_->store().counter(Counter::total_inodes).value(), before + 1);
  ASSERT_TRUE(a_->store().run(
      [](Transaction& tx) -> Status {
        tx.write(AddUsage{0, -1});
        return {};
      },
      {}));
}

// The retry finds another state and the caller is told; then the state is back that the first try wanted.
TEST_F(RedisFaultTest, ARequestWhoseRetryWasRefusedIsNotAppliedLate) {
  file("f");
  proxy_.strike(Fault::hold_request,
                [&] { ASSERT_TRUE(b_->rename(Caller{}, kRootIno, "f", kRootIno, "g", 0)); });
  EXPECT_EQ(unlink(*a_, "f"), ENOENT);
  ASSERT_TRUE(b_->rename(Caller{}, kRootIno, "g", kRootIno, "f", 0));
  proxy_.deliver_held();
  EXPECT_TRUE(exists("f"));
}

// Copies of one attempt on three connections. The one that comes first decides, and all get its answer.
TEST_F(RedisFaultTest, CopiesOfAnAttemptAreOneWhicheverComesFirst) {
  const Ino ino = file("f");
  const ChunkSlice slice{0, Slice{0, a_->next_slice_id().value(), 512, 0, 512}};
  proxy_.strike(Fault::hold_request, [&] { proxy_.strike(Fault::hold_request); });
  auto written = a_->write(ino, std::span(&slice, 1), Time{1, 0});
  ASSERT_TRUE(written) << written.error().to_string();
  proxy_.deliver_held();
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 1u);

  const ChunkSlice second{0, Slice{512, a_->next_slice_id().value(), 512, 0, 512}};
  proxy_.strike(Fault::hold_request, [&] { proxy_.deliver_held(); });
  written = a_->write(ino, std::span(&second, 1), Time{2, 0});
  ASSERT_TRUE(written) << written.error().to_string();
  EXPECT_EQ(written->records, 2u) << "as the first copy was told";
  EXPECT_EQ(b_->chunk(ino, 0)->size(), 2u);
}

// The server is away while one thread's attempt is given up and another's is sent again and again: that one
// asked before, and need not ask again. Whatever comes after both refuses the old copy.
TEST_F(RedisFaultTest, AnAttemptGivenUpDuringAnothersIsRefusedByTheNext) {
  file("f");
  (void)a_->lookup(Caller{}, kRootIno, "g");
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  std::future<int> creating;
  proxy_.strike(Fault::hold_request, [&] {
    proxy_.go_away(true);
    creating = std::async(std::launch::async,
                          [&] { return code_of(a_->mknod(Caller{}, kRootIno, "g", NewNode{})); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    interrupt.request_stop();
  });
  EXPECT_EQ(unlink(*a_, "f", caller), EINTR);
  proxy_.go_away(false);
  EXPECT_EQ(creating.get(), 0);
  EXPECT_TRUE(exists("f"));
  EXPECT_NE(file("h"), 0u);
  proxy_.deliver_held();
  EXPECT_TRUE(exists("f"));
}

TEST_F(RedisFaultTest, WhoIsInterruptedIsNotServedLater) {
  file("f");
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  proxy_.strike(Fault::hold_request, [&] {
    proxy_.go_away(true);
    interrupt.request_stop();
  });
  EXPECT_EQ(unlink(*a_, "f", caller), EINTR);
  proxy_.go_away(false);
  file("other");
  proxy_.deliver_held();
  EXPECT_TRUE(exists("f"));
  EXPECT_EQ(unlink(*a_, "f"), 0);
}

TEST_F(RedisFaultTest, WaitingForTheServerEndsWhenTheCallerIsInterrupted) {
  ASSERT_TRUE(b_->mknod(Caller{}, kRootIno, "stays", NewNode{}));  // which has to be asked for first
  proxy_.go_away(true);
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto waiting = std::async(std::launch::async, [&] { return unlink(*a_, "stays", caller); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  interrupt.request_stop();
  EXPECT_EQ(waiting.get(), EINTR);
  proxy_.go_away(false);
  EXPECT_TRUE(exists("stays"));
  EXPECT_EQ(unlink(*a_, "stays"), 0);
}

TEST_F(RedisFaultTest, ReadingEndsWhenTheCallerIsInterrupted) {
  proxy_.go_away(true);
  std::stop_source interrupt;
  Caller caller;
  caller.interrupt = interrupt.get_token();
  auto looking = std::async(std::launch::async, [&] { return code_of(a_->lookup(caller, kRootIno, "x")); });
  auto asking =
      std::async(std::launch::async, [&] { return code_of(a_->getattr(kRootIno, caller.interrupt)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  interrupt.request_stop();
  EXPECT_EQ(looking.get(), EINTR);
  EXPECT_EQ(asking.get(), EINTR);
  proxy_.go_away(false);
}

TEST_F(RedisFaultTest, WaitingForTheServerHasALimit) {
  redis::Client client(redis::parse_redis_url(proxy_.url(kDb)).value(), false,
                       std::chrono::milliseconds(100));
  ASSERT_TRUE(client.open());
  redis::Transactions transactions(client);
  const auto touch = [](Transaction& tx) -> Status {
    tx.write(AddUsage{0, 0});
    PatchNode patch{kRootIno};
    patch.touch = Time{1, 0};
    tx.write(std::move(patch));
    return {};
  };
  ASSERT_TRUE(transactions.run(touch, {}));
  proxy_.go_away(true);
  EXPECT_EQ(code_of(transactions.run(touch, {})), ETIMEDOUT);
  proxy_.go_away(false);
  EXPECT_TRUE(transactions.run(touch, {}));
}

TEST_F(RedisFaultTest, OperationsGoOnWhenTheServerIsBack) {
  proxy_.go_away(true);
  auto waiting = std::async(std::launch::async, [&] { return file("patient"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  proxy_.go_away(false);
  EXPECT_NE(waiting.get(), 0u);
  EXPECT_TRUE(exists("patient"));
}

TEST_F(RedisFaultTest, NothingIsLostOrDoneTwiceWhileTheServerIsKilledAgainAndAgain) {
  constexpr int kThreads = 4;
  std::atomic<bool> stop{false};
  std::vector<std::vector<std::string>> kept(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; !stop; ++i) {
          std::string name = std::to_string(t) + "-" + std::to_string(i);
          auto made = a_->mknod(Caller{}, kRootIno, name, NewNode{});
          ASSERT_TRUE(made) << made.error().to_string();
          ASSERT_TRUE(a_->link(Caller{}, made->ino, kRootIno, name + "l"));
          ASSERT_EQ(unlink(*a_, name), 0);
          kept[t].push_back(name + "l");
        }
      });
    }
    for (int kill = 0; kill < 5; ++kill) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      server_.restart();
    }
    stop = true;
  }
  std::set<std::string> present;
  DirCursor cursor;
  while (!cursor.at_end) {
    auto page = b_->list_dir(kRootIno, &cursor, 1000, false);
    ASSERT_TRUE(page);
    for (const ListedEntry& entry : *page) present.insert(entry.name);
  }
  size_t count = 0;
  for (const auto& names : kept) {
    count += names.size();
    for (const std::string& name : names) EXPECT_TRUE(present.contains(name)) << name;
  }
  EXPECT_EQ(present.size(), count);
}

// As after a failover to a replica that had not got the latest writes.
TEST_F(RedisFaultTest, NumbersAreNotGivenTwiceByAServerThatLostWrites) {
  Ino before = file("f");
  uint64_t slice = a_->next_slice_id().value();
  for (std::string_view counter : {"nextinode", "nextchunk", "nextsession"}) {
    ASSERT_TRUE(direct_->run("SET", counter, 1));
  }
  proxy_.go_away(true);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  proxy_.go_away(false);
  ASSERT_TRUE(a_->getattr(before));  // the first contact
  auto c = client_of(server_.url(kDb));
  EXPECT_GT(c->session_id(), a_->session_id());
  EXPECT_GT(c->mknod(Caller{}, kRootIno, "g", NewNode{})->ino, before);
  EXPECT_GT(c->next_slice_id().value(), slice);
  c->stop();
}

TEST_F(RedisFaultTest, AnInodeThatIsThereLeadsToAnotherNumber) {
  std::set<Ino> inodes;
  for (int i = 0; i < 3; ++i) inodes.insert(file(std::to_string(i)));
  ASSERT_TRUE(direct_->run("SET", "nextinode", 1));
  auto c = client_of(server_.url(kDb));
  for (int i = 3; i < 6; ++i) {
    auto made = c->mknod(Caller{}, kRootIno, std::to_string(i), NewNode{});
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_TRUE(inodes.insert(made->ino).second);
  }
  c->stop();
}

// Far more chunks than are looked for behind a file's end.
TEST_F(RedisFaultTest, ChunksThatATruncateLeftGoWithTheFile) {
  Ino ino = file("sparse");
  for (uint32_t index : {0u, 70u, 1000u, 100'000u}) {
    ChunkSlice slice{index, Slice{0, a_->next_slice_id().value(), 512, 0, 512}};
    ASSERT_TRUE(a_->write(ino, std::span(&slice, 1), Time{1, 0}));
  }
  ASSERT_TRUE(a_->truncate(Caller{}, ino, 1, true, false));
  ASSERT_EQ(unlink(*a_, "sparse"), 0);
  a_->stop();
  EXPECT_EQ(direct_->run("KEYS", "c" + std::to_string(ino) + "_*")->size(), 0u);
  EXPECT_EQ(direct_->run("HEXISTS", redis::kTruncated, ino)->integer(), 0);
}

// Left by clients that did not note them, in files that are empty now.
TEST_F(RedisFaultTest, ChunksThatNobodyNotedGoWithTheFile) {
  const std::map<std::string, std::vector<uint32_t>> chunks = {
      {"near", {3}}, {"row", {63, 120}}, {"none", {}}};
  for (const auto& [name, indexes] : chunks) {
    Ino ino = file(name);
    for (uint32_t index : indexes) {
      ChunkSlice slice{index, Slice{0, a_->next_slice_id().value(), 512, 0, 512}};
      ASSERT_TRUE(a_->write(ino, std::span(&slice, 1), Time{1, 0}));
    }
    ASSERT_TRUE(a_->truncate(Caller{}, ino, 0, true, false));
    ASSERT_TRUE(direct_->run("HDEL", redis::kTruncated, ino));
    ASSERT_EQ(unlink(*a_, name), 0);
  }
  a_->stop();
  EXPECT_EQ(direct_->run("KEYS", "c*_*")->size(), 0u);
}

// A row of chunks too long for the script: holes only where chunks are, and the file still grows at once.
TEST_F(RedisFaultTest, AVeryLongFileIsCutAndGrows) {
  Ino ino = file("long");
  for (uint32_t index : {5u, 60'000u}) {
    ChunkSlice slice{index, Slice{0, a_->next_slice_id().value(), 512, 0, 512}};
    ASSERT_TRUE(a_->write(ino, std::span(&slice, 1), Time{1, 0}));
  }
  ASSERT_TRUE(a_->truncate(Caller{}, ino, 1, true, false));
  ASSERT_TRUE(a_->truncate(Caller{}, ino, uint64_t{1} << 55, true, false));
  for (uint32_t index : {5u, 60'000u}) {
    auto slices = a_->chunk(ino, index);
    ASSERT_TRUE(slices);
    EXPECT_EQ(slices->back().id, 0u);
    EXPECT_GE(slices->back().len, 512u);
  }
  EXPECT_EQ(direct_->run("KEYS", "c" + std::to_string(ino) + "_*")->size(), 3u) << "and the first chunk";
  ASSERT_TRUE(a_->truncate(Caller{}, ino, 0, true, false));
}

}  // namespace
}  // namespace cider::meta
