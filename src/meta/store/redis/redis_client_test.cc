// The client against real servers: passwords, TLS, Sentinels.
#include "meta/store/redis/client.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/testing/stop_process.h"
#include "meta/store/redis/redis_store.h"
#include "meta/store/redis/server_info.h"
#include "meta/testing/certificates.h"
#include "meta/testing/redis_server.h"

namespace cider::meta::redis {
namespace {

using testing::Certificates;
using testing::free_port;
using testing::RedisServer;
using testing::spawn;

RedisUrl url_of(const std::string& text) {
  auto url = parse_redis_url(text);
  if (!url) throw std::runtime_error(url.error().to_string());
  url->dial_timeout = std::chrono::seconds(20);
  return *url;
}

int open_code(const std::string& url) {
  Client client(url_of(url));
  return code_of(client.open());
}

std::string ping(const std::string& url) {
  Client client(url_of(url));
  auto reply = client.run("PING");
  return reply ? std::string(reply->text()) : reply.error().to_string();
}

TEST(RedisClient, logs_in) {
  std::string port = free_port();
  RedisServer server(
      {"--port", port, "--requirepass", "sesame", "--user", "ann", "on", ">apple", "~*", "+@all"});
  EXPECT_EQ(ping("redis://:sesame@127.0.0.1:" + port), "PONG");
  EXPECT_EQ(ping("redis://ann:apple@127.0.0.1:" + port + "/7"), "PONG");
  EXPECT_EQ(open_code("redis://127.0.0.1:" + port), EACCES);
  EXPECT_EQ(open_code("redis://:wrong@127.0.0.1:" + port), EACCES);
  EXPECT_EQ(open_code("redis://ann:sesame@127.0.0.1:" + port), EACCES);
}

TEST(RedisClient, selects_a_database) {
  RedisServer server;
  Client a(url_of(server.url(3))), b(url_of(server.url(4)));
  ASSERT_TRUE(a.run("SET", "x", "1"));
  EXPECT_TRUE(b.run("GET", "x")->is_nil());
  EXPECT_EQ(a.run("GET", "x")->text(), "1");
}

TEST(RedisClient, says_where_nobody_listens) {
  Client client(url_of("redis://127.0.0.1:" + free_port()));
  Status opened = client.open();
  EXPECT_EQ(code_of(opened), ECONNREFUSED);
  EXPECT_NE(opened.error().message.find("127.0.0.1"), std::string::npos);
}

TEST(ServerInfo, is_read_from_info) {
  ServerInfo info = parse_server_info(
      "# Server\r\nredis_version:3.2.1\r\n\r\n# Memory\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n");
  EXPECT_TRUE(info.is_too_old());
  EXPECT_TRUE(info.may_evict());
  EXPECT_FALSE(info.append_only_file);
  info = parse_server_info("redis_version:10.0.0\nmaxmemory_policy:noeviction\naof_enabled:1");
  EXPECT_FALSE(info.is_too_old());
  EXPECT_FALSE(info.may_evict());
  EXPECT_TRUE(info.append_only_file);
  info = parse_server_info("");
  EXPECT_FALSE(info.is_too_old() || info.may_evict() || !info.append_only_file);
}

TEST(RedisStore, tells_the_server_not_to_evict) {
  RedisServer server({"--maxmemory-policy", "allkeys-lru"});
  Client client(url_of(server.url()));
  ASSERT_TRUE(open_redis(server.url(), true));
  EXPECT_EQ(client.run("CONFIG", "GET", "maxmemory-policy")->operator[](1).text(), "allkeys-lru");
  ASSERT_TRUE(open_redis(server.url(), false));
  EXPECT_EQ(client.run("CONFIG", "GET", "maxmemory-policy")->operator[](1).text(), "noeviction");
}

class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = std::make_unique<Certificates>();
    port_ = free_port();
    server_ = std::make_unique<RedisServer>(std::vector<std::string>{
        "--tls-port", port_, "--tls-cert-file", made_->server(), "--tls-key-file", made_->server_key(),
        "--tls-ca-cert-file", made_->ca(), "--tls-auth-clients", "yes"});
  }
  static void TearDownTestSuite() {
    server_.reset();
    made_.reset();
  }

  static std::string url(const std::string& host, const std::string& options) {
    return "rediss://" + host + ":" + port_ + "?" + options;
  }
  static std::string client_cert() {
    return "tls-cert-file=" + made_->client() + "&tls-key-file=" + made_->client_key();
  }
  static std::string authority() { return "&tls-ca-cert-file=" + made_->ca(); }

  static inline std::unique_ptr<Certificates> made_;
  static inline std::string port_;
  static inline std::unique_ptr<RedisServer> server_;
};

TEST_F(TlsTest, talks_to_a_server_that_its_authority_vouches_for) {
  EXPECT_EQ(ping(url("localhost", client_cert() + authority())), "PONG");
}

TEST_F(TlsTest, refuses_an_unknown_authority) {
  Client client(url_of(url("localhost", client_cert())));
  Status opened = client.open();
  EXPECT_EQ(code_of(opened), EACCES);
  EXPECT_NE(opened.error().message.find("certificate"), std::string::npos);
}

TEST_F(TlsTest, refuses_another_name) {
  EXPECT_EQ(open_code(url("127.0.0.1", client_cert() + authority())), EACCES);
  EXPECT_EQ(ping(url("127.0.0.1", client_cert() + authority() + "&tls-server-name=localhost")), "PONG");
}

TEST_F(TlsTest, verifies_nothing_where_told_so) {
  EXPECT_EQ(ping(url("127.0.0.1", client_cert() + "&insecure-skip-verify=true")), "PONG");
}

TEST_F(TlsTest, needs_the_client_s_certificate_where_the_server_asks) {
  EXPECT_NE(open_code(url("localhost", authority().substr(1))), 0);
  EXPECT_EQ(open_code(url("localhost", "tls-cert-file=/nowhere&tls-key-file=/nowhere")), EINVAL);
}

TEST_F(TlsTest, many_threads_and_large_values_share_the_connections) {
  Client client(url_of(url("localhost", client_cert() + authority())));
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::string value(300'000, static_cast<char>('a' + t)), key = "key" + std::to_string(t);
      for (int i = 0; i < 20; ++i) {
        if (client.run("SET", key, value) && client.run("GET", key)->text() == value) right++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 160);
}

// A master, a replica and a Sentinel that promotes the replica when the master is gone.
class SentinelTest : public ::testing::Test {
 protected:
  SentinelTest()
      : master_port_(free_port()),
        master_({"--port", master_port_}),
        replica_port_(free_port()),
        replica_({"--port", replica_port_, "--replicaof", "127.0.0.1 " + master_port_}),
        sentinel_port_(free_port()) {
    std::string file = replica_.dir() + "/sentinel.conf";
    std::ofstream(file) << "port " << sentinel_port_
                        << "\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 " << master_port_
                        << " 1\nsentinel down-after-milliseconds mymaster 1000\n"
                           "sentinel failover-timeout mymaster 3000\n";
    sentinel_ = spawn({"redis-server", file, "--sentinel"});
  }
  ~SentinelTest() override {
    kill(sentinel_, SIGKILL);
    waitpid(sentinel_, nullptr, 0);
  }

  std::string url(const std::string& options = "") const {
    return "redis://mymaster,127.0.0.1:" + sentinel_port_ + options;
  }
  static bool says_ok(const Reply& replica) {
    for (size_t i = 0; i + 1 < replica.size(); i += 2) {
      if (replica[i].text() == "master-link-status") return replica[i + 1].text() == "ok";
    }
    return false;
  }
  // Waits until the Sentinel knows the replica and that it is in step.
  bool settled() {
    for (int i = 0; i < 300; ++i) {
      Client sentinel(url_of("redis://127.0.0.1:" + sentinel_port_));
      auto reply =
          sentinel.open() ? sentinel.run("SENTINEL", "replicas", "mymaster") : Result<Reply>(Reply());
      if (reply && reply->size() == 1 && says_ok((*reply)[0])) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }

  std::string master_port_;
  RedisServer master_;
  std::string replica_port_;
  RedisServer replica_;
  std::string sentinel_port_;
  pid_t sentinel_ = -1;
};

TEST_F(SentinelTest, finds_the_master_and_follows_a_failover) {
  ASSERT_TRUE(settled());
  Client client(url_of(url()));
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(client.run("SET", "before", "1"));
  cider::testing::stop_process(master_.pid());  // its connections stay, and answer nothing
  std::thread cut([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    kill(master_.pid(), SIGKILL);
  });
  EXPECT_TRUE(client.run("SET", "after", "2"));
  cut.join();
  Client replica(url_of(replica_.url()));
  EXPECT_EQ(replica.run("GET", "after")->text(), "2");
  EXPECT_EQ(replica.run("ROLE")->operator[](0).text(), "master");
}

TEST_F(SentinelTest, a_read_only_client_may_read_from_a_replica) {
  ASSERT_TRUE(settled());
  Client reader(url_of(url("?route-read=replica")), true);
  EXPECT_EQ(reader.run("ROLE")->operator[](0).text(), "slave");
  Client writer(url_of(url("?route-read=replica")), false);
  EXPECT_EQ(writer.run("ROLE")->operator[](0).text(), "master");
}

TEST_F(SentinelTest, says_when_no_sentinel_knows_the_name) {
  ASSERT_TRUE(settled());
  Client client(url_of("redis://nobody,127.0.0.1:" + sentinel_port_));
  EXPECT_EQ(code_of(client.open()), ENOENT);
}

}  // namespace
}  // namespace cider::meta::redis
