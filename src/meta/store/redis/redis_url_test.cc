#include "meta/store/redis/redis_url.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;

std::string error_of_url(std::string_view url) {
  auto parsed = parse_redis_url(url);
  return parsed ? "no error" : parsed.error().message;
}

class RedisUrlTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"REDIS_PASSWORD", "META_PASSWORD", "META_PASSWORD_FILE", "SENTINEL_PASSWORD"})
      unsetenv(name);
  }
  void TearDown() override { SetUp(); }
};

TEST_F(RedisUrlTest, names_a_server) {
  RedisUrl url = *parse_redis_url("redis://localhost");
  EXPECT_EQ(url.addresses, (std::vector<Address>{{"localhost", "6379"}}));
  EXPECT_EQ(url.db, 0);
  EXPECT_FALSE(url.tls);
  EXPECT_EQ(url.describe(), "redis://localhost:6379/0");
  EXPECT_EQ(parse_redis_url("redis://10.0.0.1:7000/3")->describe(), "redis://10.0.0.1:7000/3");
  EXPECT_EQ(parse_redis_url("redis://[::1]:7000/3")->describe(), "redis://[::1]:7000/3");
  EXPECT_EQ(parse_redis_url("redis://[fe80::1]")->addresses[0].host, "fe80::1");
}

TEST_F(RedisUrlTest, names_a_unix_socket) {
  RedisUrl url = *parse_redis_url("unix://:secret@/run/redis.sock?db=4");
  EXPECT_TRUE(url.addresses[0].is_unix());
  EXPECT_EQ(url.addresses[0].host, "/run/redis.sock");
  EXPECT_EQ(url.password, "secret");
  EXPECT_EQ(url.describe(), "unix:///run/redis.sock?db=4");
}

TEST_F(RedisUrlTest, names_a_master_and_its_sentinels) {
  RedisUrl url = *parse_redis_url("redis://:pw@mymaster,10.0.0.1,10.0.0.2:26380,[::1]/2");
  EXPECT_EQ(url.master, "mymaster");
  EXPECT_EQ(url.describe(), "redis://mymaster,10.0.0.1:26379,10.0.0.2:26380,[::1]:26379/2");
  EXPECT_EQ(parse_redis_url("redis://m,a,b:5000")->addresses[0].port, "5000");
  setenv("SENTINEL_PASSWORD", "tell me", 1);
  EXPECT_EQ(parse_redis_url("redis://m,a")->sentinel_password, "tell me");
}

TEST_F(RedisUrlTest, names_nodes_of_a_cluster) {
  RedisUrl url = *parse_redis_url("redis://:pw@10.0.0.1:7000,[::1]:7001,h/2?route-read=replica");
  EXPECT_EQ(url.master, "");
  EXPECT_EQ(url.addresses, (std::vector<Address>{{"10.0.0.1", "7000"}, {"::1", "7001"}, {"h", "6379"}}));
  EXPECT_TRUE(url.read_replica);
  EXPECT_EQ(url.describe(), "redis://10.0.0.1:7000,[::1]:7001,h:6379/2");
  EXPECT_EQ(parse_redis_url("redis://[::1]:7000,[::1]:7001")->addresses.size(), 2u);
}

TEST_F(RedisUrlTest, takes_options_in_both_spellings) {
  RedisUrl url = *parse_redis_url(
      "redis://h?read-timeout=1m30s&write_timeout=500ms&dial-timeout=7&min-retry-backoff=1ms&db=5");
  EXPECT_EQ(url.read_timeout, milliseconds(90'000));
  EXPECT_EQ(url.write_timeout, milliseconds(500));
  EXPECT_EQ(url.dial_timeout, milliseconds(7'000));
  EXPECT_EQ(url.min_retry_backoff, milliseconds(1));
  EXPECT_EQ(url.db, 5);
}

TEST_F(RedisUrlTest, takes_tls_options) {
  RedisUrl url = *parse_redis_url(
      "rediss://h/1?tls-cert-file=%2Fa%2Fc.pem&tls-key-file=/a/k.pem&tls-ca-cert-file=ca&tls-server-name=n"
      "&insecure-skip-verify=1");
  ASSERT_TRUE(url.tls);
  EXPECT_EQ(url.tls->cert_file, "/a/c.pem");
  EXPECT_EQ(url.tls->key_file, "/a/k.pem");
  EXPECT_EQ(url.tls->ca_file, "ca");
  EXPECT_EQ(url.tls->server_name, "n");
  EXPECT_TRUE(url.tls->skip_verify);
  EXPECT_EQ(url.describe(), "rediss://h:6379/1");
  EXPECT_FALSE(parse_redis_url("rediss://h")->tls->skip_verify);
}

TEST_F(RedisUrlTest, decodes_credentials_and_never_shows_them) {
  RedisUrl url = *parse_redis_url("redis://us%40er:p%2F%3A%3f@h/1");
  EXPECT_EQ(url.user, "us@er");
  EXPECT_EQ(url.password, "p/:?");
  EXPECT_EQ(url.describe(), "redis://h:6379/1");
  EXPECT_EQ(parse_redis_url("redis://:a@b@h")->password, "a@b");
  EXPECT_EQ(
      parse_redis_url("redis://h?tls-server-name=a@b").error().message.find("unknown") == std::string::npos,
      false);
}

TEST_F(RedisUrlTest, finds_a_missing_password_in_the_environment) {
  std::string path = (std::filesystem::temp_directory_path() / "cider-password-XXXXXX").string();
  ASSERT_GE(mkstemp(path.data()), 0);
  std::ofstream(path) << "from file\nsecond line\n";
  setenv("META_PASSWORD_FILE", path.c_str(), 1);
  EXPECT_EQ(parse_redis_url("redis://h")->password, "from file");
  setenv("META_PASSWORD", "from variable", 1);
  EXPECT_EQ(parse_redis_url("redis://h")->password, "from variable");
  EXPECT_EQ(parse_redis_url("redis://:own@h")->password, "own");
  unsetenv("META_PASSWORD");
  std::filesystem::remove(path);
  EXPECT_NE(error_of_url("redis://h").find(path), std::string::npos);
}

TEST_F(RedisUrlTest, says_what_is_wrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"redis://", "no host"},
      {"redis://h:port", "'port' is no number"},
      {"redis://h:70000", "'70000'"},
      {"redis://h/x", "database 'x'"},
      {"redis://h/-1", "database '-1'"},
      {"redis://h?color=blue", "option color"},
      {"redis://h?tls-cert-file=a", "rediss"},
      {"rediss://h?tls-cert-file=a", "go together"},
      {"redis://h?read-timeout=soon", "'soon'"},
      {"redis://h?read-timeout=0", "'0'"},
      {"redis://h?min-retry-backoff=2s&max-retry-backoff=1s", "longer"},
      {"redis://h?route-read=random", "random"},
      {"redis://a%zz:b@h", "hexadecimal"},
      {"redis://a%4:b@h", "hexadecimal"},
      {"redis://h1:1,h2:x", "'x'"},
      {"redis://h1:1,", "no host"},
      {"redis://h?client-cache=true&client-cache-preload=9", "client-cache-preload is not supported"},
      {"redis://h?client-cache-size=0", "holds nothing"},
      {"redis://h?client-cache-size=many", "is no number"},
      {"redis://h?client-cache-expire=long", "is no time"},
      {"redis://m,h1,h2?client-cache=true&route-read=replica", "do not go together"},
      {"unix://run/redis.sock", "absolute"},
      {"http://h", "'http'"},
  };
  for (const auto& [url, part] : cases) {
    EXPECT_NE(error_of_url(url).find(part), std::string::npos) << url << ": " << error_of_url(url);
  }
}

TEST_F(RedisUrlTest, client_cache) {
  EXPECT_FALSE(parse_redis_url("redis://h")->client_cache);
  EXPECT_FALSE(parse_redis_url("redis://h?client-cache=false")->client_cache);
  EXPECT_FALSE(parse_redis_url("redis://h?client-cache=")->client_cache);
  RedisUrl url = *parse_redis_url("redis://h?client-cache=true");
  EXPECT_TRUE(url.client_cache);
  EXPECT_EQ(url.client_cache_size, 12'800u);
  EXPECT_EQ(url.client_cache_expire, std::chrono::seconds(60));
  url = *parse_redis_url("redis://h?client-cache-size=500&client_cache_expire=90s&client-cache=1");
  EXPECT_TRUE(url.client_cache);
  EXPECT_EQ(url.client_cache_size, 500u);
  EXPECT_EQ(url.client_cache_expire, std::chrono::seconds(90));
  EXPECT_TRUE(parse_redis_url("redis://h?client-cache=true&client-cache-preload=0"));
}

}  // namespace
}  // namespace cider::meta::redis
