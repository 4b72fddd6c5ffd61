#include "meta/store/redis/push_channel.h"

#include <gtest/gtest.h>

#include <vector>

#include "meta/store/redis/server_info.h"
#include "meta/testing/redis_server.h"

namespace cider::meta::redis {
namespace {

using testing::RedisServer;

class Events final : public ChangeListener {
 public:
  void changed(std::string_view key) override { add(std::string(key)); }
  void all_changed() override { add("all"); }
  void told_until(Monotonic::time_point) override { add("told"); }
  void lost() override { add("lost"); }

  // Whether `event` comes, after what was awaited before.
  bool await(const std::string& event) {
    std::unique_lock lock(mutex_);
    return came_.wait_for(lock, std::chrono::seconds(20), [&] {
      while (seen_ < events_.size()) {
        if (events_[seen_++] == event) return true;
      }
      return false;
    });
  }

 private:
  void add(std::string event) {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    came_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::string> events_;
  size_t seen_ = 0;
};

class PushChannelTest : public ::testing::Test {
 protected:
  Status open() {
    client_.on_connect([this](Connection& connection) -> Status {
      const Reply info = TRY(connection.call(Commands().add("INFO", "server"))).front();
      channel_.commands_go_to(parse_server_info(info.text()).run_id);
      return {};
    });
    TRY(client_.open());
    TRY(channel_.open());
    EXPECT_TRUE(events_.await("told"));
    return {};
  }
  void run(auto... words) { ASSERT_TRUE(client_.ask(words...)); }

  RedisServer server_;
  Client client_{parse_redis_url(server_.url()).value()};
  Events events_;
  PushChannel channel_{client_, events_};
};

TEST_F(PushChannelTest, tells_what_changes) {
  ASSERT_TRUE(open());
  run("SET", "i1", "x");
  EXPECT_TRUE(events_.await("i1"));
  run("HSET", "d1", "name", "x");
  EXPECT_TRUE(events_.await("d1"));
  run("EVAL", "redis.call('SET', 'x1', '') redis.call('SETRANGE', KEYS[1], 0, 'y')", 1, "i1");
  EXPECT_TRUE(events_.await("i1"));
  run("FLUSHALL");
  EXPECT_TRUE(events_.await("all"));
}

TEST_F(PushChannelTest, says_when_it_is_lost_and_comes_back) {
  ASSERT_TRUE(open());
  run("CLIENT", "KILL", "TYPE", "pubsub");
  EXPECT_TRUE(events_.await("lost"));
  EXPECT_TRUE(events_.await("told"));
  run("SET", "i1", "x");
  EXPECT_TRUE(events_.await("i1"));
}

TEST_F(PushChannelTest, follows_commands_to_another_server) {
  ASSERT_TRUE(open());
  channel_.commands_go_to("another");
  EXPECT_TRUE(events_.await("lost"));
  EXPECT_TRUE(events_.await("lost")) << "it tries another connection, and that leads here again";
  server_.restart();
  run("PING");  // over a new connection, which is greeted
  EXPECT_TRUE(events_.await("told"));
  run("SET", "i1", "x");
  EXPECT_TRUE(events_.await("i1"));
}

TEST(PushChannelErrors, names_the_option_where_the_server_tells_nothing) {
  const RedisServer server({"--rename-command", "CLIENT", ""});
  Client client(parse_redis_url(server.url()).value());
  Events events;
  PushChannel channel(client, events);
  ASSERT_TRUE(client.open());
  const Status opened = channel.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, EINVAL);
  EXPECT_NE(opened.error().message.find("client-cache needs CLIENT TRACKING"), std::string::npos);
}

}  // namespace
}  // namespace cider::meta::redis
