// A client that works as JuiceFS does gets on in a directory in which we create at full speed.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "meta/store/redis/keys.h"
#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

class RedisFairnessTest : public testing::RedisTest {
 protected:
  static constexpr int kTries = 50;  // then a caller of JuiceFS gets EIO
  static constexpr int kCreates = 40;
  static constexpr int kTriesEach = 6;  // on average; without gaps they are many more

  void SetUp() override {
    RedisTest::SetUp();
    dir_ = b_->mknod(Caller{}, kRootIno, "dir", NewNode{FileType::directory, 0755, 0, {}})->ino;
  }

  // Registers a session as JuiceFS does.
  void juicefs_mounts() {
    const auto sid = direct_->ask("INCR", redis::counter_key(Counter::next_session))->integer();
    ASSERT_TRUE(direct_->ask("ZADD", redis::kSessions, 4'000'000'000, sid));
    ASSERT_TRUE(direct_->ask("HSET", redis::kSessionInfos, sid, R"({"Version":"1.4.1+2025-01-01.abc"})"));
  }
  void juicefs_leaves() {
    const auto sid = direct_->ask("GET", redis::counter_key(Counter::next_session));
    ASSERT_TRUE(direct_->ask("ZREM", redis::kSessions, sid->text()));
    ASSERT_TRUE(direct_->ask("HDEL", redis::kSessionInfos, sid->text()));
  }

  void expect_creates_without_trouble() {
    int tries = 0;
    for (int i = 0; i < kCreates; ++i) {
      const int more = tries_of_a_create();
      ASSERT_NE(more, 0);
      tries += more;
    }
    EXPECT_LT(tries, kCreates * kTriesEach);
  }

  // A transaction in the five round trips of a JuiceFS create: 0 if it never came through.
  int tries_of_a_create() {
    const std::string inode = redis::inode_key(dir_), entries = redis::dir_key(dir_);
    std::minstd_rand random(1);
    for (int i = 0; i < kTries; ++i) {
      (void)direct_->ask("WATCH", inode, entries);
      (void)direct_->ask("GET", inode);
      (void)direct_->ask("HGET", entries, "name");
      (void)direct_->ask("GET", "usedSpace");
      redis::Commands exec;
      exec.add("MULTI").add("HSET", entries, "name", "x").add("HDEL", entries, "name").add("EXEC");
      auto replies = direct_->call(exec);
      if (replies && !replies->back().is_nil()) return i + 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % ((i + 1) * (i + 1))));
    }
    return 0;
  }

  // Creates files while `run` runs.
  template <class Run>
  void while_we_create(Meta& meta, Run run) {
    std::atomic<bool> stop{false};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; !stop; ++i) {
          const std::string name = std::to_string(t) + "-" + std::to_string(i);
          ASSERT_TRUE(meta.mknod(Caller{}, dir_, name, NewNode{}));
          ASSERT_TRUE(meta.unlink(Caller{}, dir_, name));
        }
      });
    }
    run();
    stop = true;
  }

  Ino dir_ = 0;
};

TEST_F(RedisFairnessTest, AJuiceFsOnTheVolumeGetsOn) {
  juicefs_mounts();
  auto c = client_of(server_.url(kDb), 0);
  while_we_create(*c, [&] { expect_creates_without_trouble(); });
  c->stop();
  juicefs_leaves();
}

TEST_F(RedisFairnessTest, AJuiceFsThatComesLaterIsSeen) {
  while_we_create(*b_, [&] {
    juicefs_mounts();
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    expect_creates_without_trouble();
  });
  juicefs_leaves();
}

}  // namespace
}  // namespace cider::meta
