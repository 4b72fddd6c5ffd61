#include "meta/store/sql/mysql/mysql_url.h"

#include <gtest/gtest.h>

#include <chrono>

namespace cider::meta::mysql {
namespace {

using namespace std::chrono_literals;

TEST(MysqlUrl, IsThatOfJuiceFS) {
  auto url = parse_mysql_url(
      "mysql://user:p@ss/w:rd?@(db.example:3307)/"
      "meta?tls=skip-verify&charset=utf8mb4&timeout=3s&readTimeout=30s&"
      "writeTimeout=1m&max_open_conns=7&max_idle_conns=3&max_idle_time=300&max_life_time=0&table_prefix=vol");
  ASSERT_TRUE(url) << url.error().to_string();
  EXPECT_EQ(url->user, "user");
  EXPECT_EQ(url->password, "p@ss/w:rd?");
  EXPECT_EQ(url->host, "db.example");
  EXPECT_EQ(url->port, 3307U);
  EXPECT_EQ(url->database, "meta");
  EXPECT_EQ(url->tls, Tls::unverified);
  EXPECT_EQ(url->connect_limit, 3s);
  EXPECT_EQ(url->read_limit, 30s);
  EXPECT_EQ(url->write_limit, 60s);
  EXPECT_EQ(url->max_connections, 7);
  EXPECT_EQ(url->table_prefix, "vol");
  EXPECT_EQ(url->describe(), "mysql://user@(db.example:3307)/meta");
}

TEST(MysqlUrl, MayWriteAddressesInSeveralWays) {
  EXPECT_EQ(parse_mysql_url("mysql://u@tcp(h:1)/d")->port, 1U);
  EXPECT_EQ(parse_mysql_url("mysql://u@h:2/d")->port, 2U);
  EXPECT_EQ(parse_mysql_url("mysql://u@(h)/d")->port, 3306U);
  EXPECT_EQ(parse_mysql_url("mysql://u@([::1]:4)/d")->host, "::1");
  EXPECT_EQ(parse_mysql_url("mysql://u@(h)/d")->tls, Tls::off);
  auto socket = parse_mysql_url("mysql://u:p@unix(/run/my.sock)/d?tls=false");
  ASSERT_TRUE(socket) << socket.error().to_string();
  EXPECT_EQ(socket->socket, "/run/my.sock");
  EXPECT_EQ(socket->describe(), "mysql://u@unix(/run/my.sock)/d");
}

TEST(MysqlUrl, WhatIsWrongIsToldWithoutThePassword) {
  const auto error = [](std::string_view text) {
    auto url = parse_mysql_url(text);
    EXPECT_FALSE(url) << text;
    if (url) return std::string();
    EXPECT_EQ(url.error().code, EINVAL);
    EXPECT_EQ(url.error().message.find("secret"), std::string::npos) << url.error().message;
    return url.error().message;
  };
  EXPECT_NE(error("mysql://u:secret@(h)/d?tsl=true").find("tsl"), std::string::npos);
  EXPECT_NE(error("mysql://u:secret@(h)/d?tls=custom").find("custom"), std::string::npos);
  EXPECT_NE(error("mysql://u:secret@(h)/d?timeout=x").find("timeout"), std::string::npos);
  EXPECT_NE(error("mysql://u:secret@(h)/d?charset=latin1").find("latin1"), std::string::npos);
  EXPECT_NE(error("mysql://u:secret@udp(h)/d").find("udp"), std::string::npos);
  EXPECT_NE(error("mysql://u:secret@(h)/d?table_prefix=a-b").find("table_prefix"), std::string::npos);
  error("mysql://u:secret@(h:99999)/d");
  error("mysql://u:secret@(h:x)/d");
  error("mysql://u:secret@(h/d");
  error("mysql://u:secret@(h)/");
  error("mysql://u:secret@(h)");
  error("mysql://u:secret@unix()/d");
}

}  // namespace
}  // namespace cider::meta::mysql
