#include <gtest/gtest.h>

#include <thread>

#include "object/object_store.h"
#include "object/redis/redis_connection.h"
#include "object/redis/redis_url.h"
#include "object/testing/local_servers.h"
#include "object/testing/servers.h"
#include "object/testing/stores.h"

namespace cider::object {
namespace {

using testing::chain;
using testing::keys_of;

TEST(RedisBucket, ParsesUrls) {
  auto full = *parse_redis_bucket("redis://me:p%40ss:w@host.example:7000/3");
  EXPECT_EQ(full.user, "me");
  EXPECT_EQ(full.password, "p@ss:w");
  EXPECT_EQ(full.host, "host.example");
  EXPECT_EQ(full.port, "7000");
  EXPECT_EQ(full.db, 3);
  EXPECT_EQ(full.shown(), "redis://host.example:7000/3");
  EXPECT_TRUE(parse_redis_bucket("rediss://h:1/2")->tls);
  EXPECT_EQ(parse_redis_bucket("rediss://h:1/2")->shown(), "rediss://h:1/2");
  EXPECT_EQ(parse_redis_bucket("redis://localhost")->port, "6379");
  EXPECT_EQ(parse_redis_bucket("redis://[::1]:1/")->host, "::1");
  EXPECT_EQ(parse_redis_bucket("unix://:pw@/run/redis.sock?db=2")->socket, "/run/redis.sock");
  EXPECT_EQ(parse_redis_bucket("unix:///run/redis.sock?db=2")->db, 2);
}

TEST(RedisBucket, RefusesWhatItCantUseWithoutThePassword) {
  const std::pair<const char*, int> bad[] = {{"/var/data", EINVAL},
                                             {"http://:secret@h", EINVAL},
                                             {"redis://:secret@h:0/1", EINVAL},
                                             {"redis://:secret@h/x", EINVAL},
                                             {"redis://:secret@h/1?x=1", EINVAL},
                                             {"unix://sock", EINVAL},
                                             {"redis://:secret@a,b:1/1", ENOTSUP}};
  for (const auto& [url, code] : bad) {
    auto parsed = parse_redis_bucket(url);
    EXPECT_EQ(code_of(parsed), code) << url;
    if (!parsed) {
      EXPECT_EQ(parsed.error().message.find("secret"), std::string::npos) << parsed.error().message;
    }
  }
}

TEST(RedisStore, SaysWhatIsWrongWithTheServer) {
  auto server = testing::redis_server();
  if (!server) GTEST_SKIP() << server.error().message;
  const std::string address = "127.0.0.1:" + (*server)->port;
  auto none = *open_store({"redis", "redis://" + address + "/900"});
  EXPECT_EQ(code_of(none->check_bucket()), EACCES);
  auto wrong =
      *open_store({.storage = "redis", .bucket = "redis://" + address + "/900", .secret_key = "wrong!"});
  Status refused = wrong->check_bucket();
  EXPECT_EQ(code_of(refused), EACCES);
  EXPECT_EQ(refused.error().message.find("wrong!"), std::string::npos);
  auto right =
      *open_store({.storage = "redis", .bucket = "redis://" + address + "/900", .secret_key = "secret"});
  EXPECT_TRUE(right->check_bucket());
  auto nobody = *open_store({"redis", "redis://127.0.0.1:" + std::to_string(testing::free_port()) + "/0"});
  EXPECT_EQ(code_of(nobody->check_bucket()), ECONNREFUSED);
  EXPECT_EQ(code_of(nobody->get_all("k", 10, {})), ECONNREFUSED);
}

// As JuiceFS's redis storage has it: the object's key is the key, its bytes are a string.
TEST(RedisStore, ObjectsAreStringsUnderTheirKeys) {
  auto server = testing::redis_server();
  if (!server) GTEST_SKIP() << server.error().message;
  const RedisAddress address = *parse_redis_bucket((*server)->url(901));
  auto store = *open_store({"redis", (*server)->url(901)});
  ASSERT_TRUE(store->put("vol/chunks/0/0/1_0_5", chain({"he", "llo"}), {}));
  auto connection = std::move(*RedisConnection::open(address, {}));
  connection->add({"GET", "vol/chunks/0/0/1_0_5"});
  connection->add({"SET", "vol/chunks/0/0/2_0_3", "abc"});
  connection->add({"HSET", "vol/hash", "f", "v"});
  connection->add({"SET", "volx", "1"});
  auto replies = *connection->receive({});
  EXPECT_EQ(text_of(*replies[0]), "hello");
  EXPECT_EQ(*store->get_all("vol/chunks/0/0/2_0_3", 10, {}), "abc");
  EXPECT_EQ(keys_of(*store->list("vol/", "", 10)),
            (std::vector<std::string>{"vol/chunks/0/0/1_0_5", "vol/chunks/0/0/2_0_3"}));
}

TEST(RedisStore, ListsPrefixesAsTheyAre) {
  auto server = testing::redis_server();
  if (!server) GTEST_SKIP() << server.error().message;
  auto store = *open_store({"redis", (*server)->url(902)});
  for (const char* key : {"a*b/1", "axb/1", "a[x]/1", "ax/1"}) ASSERT_TRUE(store->put(key, chain({"v"}), {}));
  EXPECT_EQ(keys_of(*store->list("a*b/", "", 10)), std::vector<std::string>{"a*b/1"});
  EXPECT_EQ(keys_of(*store->list("a[x]/", "", 10)), std::vector<std::string>{"a[x]/1"});
}

TEST(RedisStore, AConnectionThatTheServerClosedIsReplaced) {
  auto server = testing::redis_server();
  if (!server) GTEST_SKIP() << server.error().message;
  auto store = *open_store({"redis", (*server)->url(903)});
  ASSERT_TRUE(store->put("k", chain({"v"}), {}));
  auto other = std::move(*RedisConnection::open(*parse_redis_bucket((*server)->url(903)), {}));
  other->add({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  ASSERT_TRUE(other->receive({}));
  EXPECT_EQ(*store->get_all("k", 10, {}), "v");
}

TEST(RedisStore, TalksTlsToAServerThatItTrusts) {
  auto server = testing::redis_server();
  if (!server) GTEST_SKIP() << server.error().message;
  const auto url = [&](const std::string& host) {
    return "rediss://:secret@" + host + ":" + (*server)->tls_port + "/905";
  };
  Status unknown = (*open_store({"redis", url("localhost")}))->check_bucket();
  EXPECT_EQ(code_of(unknown), EACCES);
  EXPECT_NE(unknown.error().message.find("certificate"), std::string::npos) << unknown.error().message;
  ::setenv("SSL_CERT_FILE", (*server)->cert_file.c_str(), 1);
  EXPECT_EQ(code_of((*open_store({"redis", url("127.0.0.1")}))->check_bucket()), EACCES) << "another name";
  {
    auto store = *open_store({"redis", url("localhost")});
    EXPECT_TRUE(store->check_bucket());
    const std::string large(3 << 20, 'x');
    std::vector<std::jthread> threads;
    for (const char* key : {"a", "b", "c", "d"}) {
      threads.emplace_back([&, key] {
        EXPECT_TRUE(store->put(key, chain({large, key}), {}));
        EXPECT_EQ(*store->get_all(key, large.size() + 1, {}), large + key);
      });
    }
    threads.clear();
    EXPECT_EQ(keys_of(*store->list("", "", 10)), (std::vector<std::string>{"a", "b", "c", "d"}));
    auto other = std::move(*RedisConnection::open(*parse_redis_bucket((*server)->url(905)), {}));
    other->add({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    ASSERT_TRUE(other->receive({}));
    EXPECT_EQ(*store->get_all("a", large.size() + 1, {}), large + "a") << "a closed connection is replaced";
  }
  ::unsetenv("SSL_CERT_FILE");
}

TEST(RedisStore, WaitsEndWithTheStopRequest) {
  auto server = testing::redis_server();
  if (!server) GTEST_SKIP() << server.error().message;
  auto other = std::move(*RedisConnection::open(*parse_redis_bucket((*server)->url(904)), {}));
  std::stop_source stop;
  other->add({"BLPOP", "nothing", "0"});
  std::jthread interrupter([&] { stop.request_stop(); });
  EXPECT_EQ(code_of(other->receive(stop.get_token())), EINTR);
}

}  // namespace
}  // namespace cider::object
