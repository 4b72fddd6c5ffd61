#include "meta/store/sql/postgres/postgres_url.h"

#include <gtest/gtest.h>

namespace cider::meta::postgres {
namespace {

std::string parameter(const PostgresUrl& url, std::string_view name) {
  for (const auto& [key, value] : url.parameters)
    if (key == name) return value;
  return {};
}

TEST(PostgresUrl, IsThatOfLibpqAndOfJuiceFS) {
  auto url = parse_postgres_url(
      "postgres://u%40x:p%2Fw@db.example:5433/meta?sslmode=verify-full&sslrootcert=/ca.pem&search_path=my "
      "schema&"
      "table_prefix=vol&max_open_conns=7&max_idle_conns=3&max_idle_time=300&max_life_time=0");
  ASSERT_TRUE(url) << url.error().to_string();
  EXPECT_EQ(parameter(*url, "user"), "u@x");
  EXPECT_EQ(parameter(*url, "password"), "p/w");
  EXPECT_EQ(parameter(*url, "host"), "db.example");
  EXPECT_EQ(parameter(*url, "port"), "5433");
  EXPECT_EQ(parameter(*url, "dbname"), "meta");
  EXPECT_EQ(parameter(*url, "sslmode"), "verify-full");
  EXPECT_EQ(parameter(*url, "options"), "-c search_path=\"my\\ schema\"");
  EXPECT_EQ(url->table_prefix, "vol");
  EXPECT_EQ(url->max_connections, 7);
  EXPECT_EQ(url->shown, "postgres://u@x@db.example:5433/meta");
}

TEST(PostgresUrl, MayNameASocket) {
  auto url = parse_postgres_url("postgresql://me@/meta?host=/run/postgresql");
  ASSERT_TRUE(url);
  EXPECT_EQ(parameter(*url, "host"), "/run/postgresql");
  EXPECT_EQ(url->shown, "postgres://me@/meta?host=/run/postgresql");
}

TEST(PostgresUrl, WhatIsWrongIsToldWithoutThePassword) {
  const auto error = [](std::string_view text) {
    auto url = parse_postgres_url(text);
    EXPECT_FALSE(url);
    if (url) return std::string();
    EXPECT_EQ(url.error().code, EINVAL);
    EXPECT_EQ(url.error().message.find("secret"), std::string::npos) << url.error().message;
    return url.error().message;
  };
  EXPECT_NE(error("postgres://u:secret@h/db?sslmod=disable").find("sslmod"), std::string::npos);
  EXPECT_NE(error("postgres://u:secret@h/db?search_path=a,b").find("search_path"), std::string::npos);
  EXPECT_NE(error("postgres://u:secret@h/db?max_open_conns=many").find("max_open_conns"), std::string::npos);
  EXPECT_NE(error("postgres://u:secret@h/db?table_prefix=a-b").find("table_prefix"), std::string::npos);
  error("postgres://u:secret%@h/db");
  error("postgres://u:secret@[h/db");
}

}  // namespace
}  // namespace cider::meta::postgres
