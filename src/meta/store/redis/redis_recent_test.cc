// A client with `client-cache`, beside one that changes what it has cached.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

class RedisRecentTest : public testing::RedisTest {
 protected:
  void SetUp() override {
    RedisTest::SetUp();
    a_->stop();
    a_ = client_of(proxy_.url(kDb) + "&client-cache=true", 0);
    dir_ = b_->mknod(root_, kRootIno, "dir", NewNode{FileType::directory, 0755, 0, {}})->ino;
    ino_ = b_->mknod(root_, dir_, "f", NewNode{.mode = 0600})->ino;
  }

  uint64_t flights(const std::function<void()>& operation) {
    uint64_t before = proxy_.commands();
    operation();
    return proxy_.commands() - before;
  }
  static bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 20'000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(Millis(1));
    }
    return false;
  }
  // The word of earlier changes has come, and the answer is cached.
  bool comes_cached(const std::function<void()>& operation) {
    return eventually([&] { return flights(operation) == 0; });
  }

  uint16_t mode(Ino ino) { return a_->recent_attr(ino).value().mode; }
  uint16_t mode() { return mode(ino_); }
  bool names(const std::string& name) { return a_->lookup(root_, dir_, name).has_value(); }
  void set_mode(Meta& meta, Ino ino, uint16_t mode) { ASSERT_TRUE(meta.setattr(root_, ino, {.mode = mode})); }
  // Some other client's change to the mode of a file, and whatever the commands do.
  void change_with(redis::Commands commands, uint16_t mode) {
    Attr attr = b_->getattr(ino_).value();
    attr.mode = mode;
    commands.add("SET", "i" + std::to_string(ino_), encode_attr(attr));
    ASSERT_TRUE(direct_->ask_all(commands));
  }

  const Caller root_;
  Ino dir_ = 0;
  Ino ino_ = 0;
};

TEST_F(RedisRecentTest, answers_again_without_a_flight) {
  const auto questions = [&] {
    EXPECT_EQ(mode(), 0600);
    EXPECT_EQ(a_->lookup(root_, dir_, "f").value().ino, ino_);
    EXPECT_FALSE(names("absent"));
    EXPECT_TRUE(a_->access(Caller{.uid = 7}, dir_, X_OK));
    EXPECT_EQ(a_->lookup(root_, dir_, "..").value().ino, kRootIno);
  };
  ASSERT_TRUE(comes_cached(questions));
  EXPECT_EQ(flights([&] {
              for (int i = 0; i < 100; ++i) questions();
            }),
            0u);
}

TEST_F(RedisRecentTest, asks_where_the_truth_is_wanted) {
  ASSERT_TRUE(comes_cached([&] { mode(); }));
  EXPECT_EQ(flights([&] { EXPECT_TRUE(a_->getattr(ino_)); }), 1u);
  EXPECT_EQ(flights([&] { EXPECT_TRUE(a_->open(root_, ino_, 0)); }), 1u);
  a_->close(ino_);
}

TEST_F(RedisRecentTest, sees_what_others_change) {
  ASSERT_TRUE(comes_cached([&] { mode(); }));
  set_mode(*b_, ino_, 0640);
  EXPECT_TRUE(eventually([&] { return mode() == 0640; }));
  ASSERT_TRUE(comes_cached([&] { mode(); }));
  ASSERT_TRUE(b_->truncate(root_, ino_, 1000, true, false));
  EXPECT_TRUE(eventually([&] { return a_->recent_attr(ino_).value().length == 1000; }));

  ASSERT_TRUE(comes_cached([&] { EXPECT_FALSE(names("new")); }));
  ASSERT_TRUE(b_->mknod(root_, dir_, "new", NewNode{}));
  EXPECT_TRUE(eventually([&] { return names("new"); }));
  ASSERT_TRUE(comes_cached([&] { EXPECT_TRUE(names("new")); }));
  ASSERT_TRUE(b_->rename(root_, dir_, "new", dir_, "newer", 0));
  EXPECT_TRUE(eventually([&] { return !names("new") && names("newer"); }));
  ASSERT_TRUE(comes_cached([&] { EXPECT_TRUE(names("newer")); }));
  ASSERT_TRUE(b_->unlink(root_, dir_, "newer"));
  EXPECT_TRUE(eventually([&] { return !names("newer"); }));
}

TEST_F(RedisRecentTest, sees_its_own_changes_at_once) {
  for (uint16_t i = 0; i < 200; ++i) {
    set_mode(*a_, ino_, i);
    ASSERT_EQ(mode(), i);
    const std::string name = "own" + std::to_string(i);
    ASSERT_FALSE(names(name));
    ASSERT_TRUE(a_->mknod(root_, dir_, name, NewNode{}));
    ASSERT_TRUE(names(name));
    ASSERT_TRUE(a_->unlink(root_, dir_, name));
    ASSERT_FALSE(names(name));
  }
}

// The server answers, then the file is changed, and the word of that overtakes the answer.
TEST_F(RedisRecentTest, a_late_answer_is_not_kept) {
  const Ino other = b_->mknod(root_, dir_, "other", NewNode{.mode = 0600})->ino;
  ASSERT_TRUE(comes_cached([&] { mode(other); }));
  proxy_.hold_reply("i" + std::to_string(ino_));
  std::thread reader([&] { EXPECT_EQ(mode(), 0600); });
  proxy_.await_held_reply();
  const uint64_t asked = proxy_.commands();
  set_mode(*b_, ino_, 0640);
  set_mode(*b_, other, 0640);
  // When the word of this one has come, which is the later one, the server is asked; its answer queues
  // behind.
  std::thread follower([&] { EXPECT_TRUE(eventually([&] { return mode(other) == 0640; })); });
  EXPECT_TRUE(eventually([&] { return proxy_.commands() > asked; }));
  proxy_.release_reply();
  reader.join();
  follower.join();
  EXPECT_EQ(mode(), 0640);
}

// What one operation was told, another must not be told an older state of.
TEST_F(RedisRecentTest, after_an_open_nothing_older_is_answered) {
  set_mode(*a_, ino_, 0);
  for (uint16_t i = 1; i < 300; ++i) {
    ASSERT_LE(mode(), i);
    set_mode(*b_, ino_, i);
    ASSERT_EQ(a_->open(root_, ino_, 0).value().mode, i);
    ASSERT_EQ(mode(), i);
    a_->close(ino_);
  }
}

TEST_F(RedisRecentTest, a_lost_channel_hides_no_change) {
  for (uint16_t i = 1; i <= 10; ++i) {
    ASSERT_TRUE(comes_cached([&] { mode(); }));
    change_with(redis::Commands().add("CLIENT", "KILL", "TYPE", "pubsub"), i);
    ASSERT_TRUE(eventually([&] { return mode() == i; }));
  }
  EXPECT_TRUE(comes_cached([&] { mode(); })) << "the channel came back";
}

TEST_F(RedisRecentTest, outlives_the_server) {
  ASSERT_TRUE(comes_cached([&] { mode(); }));
  server_.restart();
  set_mode(*b_, ino_, 0640);
  EXPECT_TRUE(eventually([&] { return mode() == 0640; }));
  EXPECT_TRUE(comes_cached([&] { mode(); }));
  set_mode(*b_, ino_, 0604);
  EXPECT_TRUE(eventually([&] { return mode() == 0604; }));
}

// Modes only grow. Nobody may be told less than what anybody on this client was told, or has set, before.
TEST_F(RedisRecentTest, nothing_goes_backwards_under_load) {
  constexpr int kFiles = 4;
  constexpr uint16_t kRounds = 1000;
  struct File {
    Ino ino = 0;
    std::atomic<int> told{0};     // on this client
    std::atomic<int> written{0};  // by the other
  };
  std::array<File, kFiles> files;
  for (File& file : files)
    file.ino = b_->mknod(root_, dir_, "file" + std::to_string(&file - files.data()), NewNode{.mode = 0})->ino;
  std::atomic<bool> done{false};
  std::atomic<int> stale{0}, reads{0};
  const auto check = [&](File& file, int least, int mode) {
    if (mode < least) ++stale;
    int told = file.told;
    while (told < mode && !file.told.compare_exchange_weak(told, mode)) {
    }
    ++reads;
  };
  std::vector<std::thread> readers;
  for (int t = 0; t < 4; ++t) {
    readers.emplace_back([&, t] {
      for (int i = t; !done; ++i) {
        File& file = files[static_cast<size_t>(i) % kFiles];
        if (i % 16 == 0) {
          const int least = std::max(file.written.load(), file.told.load());
          check(file, least, a_->open(root_, file.ino, 0).value().mode);
          a_->close(file.ino);
        } else {
          const int least = file.told;
          check(file, least, mode(file.ino));
        }
      }
    });
  }
  for (uint16_t round = 1; round <= kRounds; ++round) {
    for (File& file : files) {
      Meta& writer = round % 8 == 0 ? *a_ : *b_;
      set_mode(writer, file.ino, round);
      file.written = round;
      if (&writer == a_.get()) check(file, round, mode(file.ino));
    }
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(stale, 0) << "of " << reads;
  for (File& file : files) EXPECT_TRUE(eventually([&] { return mode(file.ino) == kRounds; }));
}

}  // namespace
}  // namespace cider::meta
