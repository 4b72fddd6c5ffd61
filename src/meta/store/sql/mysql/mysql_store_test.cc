// What is MySQL's own: how the server refuses, and assignments that see those on their left.
#include <random>

#include "meta/store/sql/mysql/mysql_driver.h"
#include "meta/store/sql/server/pool.h"
#include "meta/testing/meta_fixture.h"
#include "meta/testing/sql_servers.h"
#include "meta/testing/test_volume.h"
#include "meta/testing/tidb_server.h"

namespace cider::meta::mysql {
namespace {

using testing::ask;
using testing::MysqlServer;
using testing::write;

std::string tidb_url() {
  return testing::TidbServer::is_there() ? testing::TidbServer::shared().url() : "";
}

TEST(MysqlStore, RefusalsAreToldWithoutThePassword) {
  const std::string at = "@unix(" + MysqlServer::shared().socket() + ")";
  EXPECT_EQ(code_of(open_store("mysql://cider:secret" + at + "/nowhere", false, false)), ENOENT);
  const std::string wrong[] = {"mysql://cider:secret2" + at + "/cider",
                               "mysql://nobody:secret" + at + "/cider"};
  for (const std::string& url : wrong) {
    auto refused = open_store(url, false, false);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EACCES);
    EXPECT_EQ(refused.error().message.find("secret"), std::string::npos) << refused.error().message;
  }
  auto away = open_store("mysql://cider:secret@unix(/nonexistent)/cider", false, false);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, ECONNREFUSED);
  EXPECT_EQ(away.error().message.find("secret"), std::string::npos) << away.error().message;
  auto store = open_store(MysqlServer::shared().url(), false, false);
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->describe().find("secret"), std::string::npos);
}

TEST(MysqlStore, WhatTheServerSaysIsTold) {
  MysqlDriver driver(parse_mysql_url(MysqlServer::shared().url()).value());
  const auto told = [&](const std::string& statement) {
    return code_of(driver.connect({}).value()->script(statement, {}));
  };
  const auto number = [](int n) { return "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=" + std::to_string(n); };
  EXPECT_EQ(told(number(4031)), sql::server::kLost) << "MySQL 8 has ended an idle connection";
  EXPECT_EQ(told(number(1205)), sql::server::kRunAgain);
  EXPECT_EQ(told(number(1290)), EROFS);
  EXPECT_EQ(told(number(1030)), EIO);
  EXPECT_EQ(told("CREATE TEMPORARY TABLE narrow (name VARCHAR(9) CHARACTER SET latin1);"
                 "SELECT 1 FROM narrow WHERE name=_utf8mb4 x'f09f9880'"),
            EILSEQ);
  EXPECT_EQ(told("CREATE TEMPORARY TABLE narrow (name VARCHAR(9) CHARACTER SET latin1);"
                 "INSERT INTO narrow VALUES (_utf8mb4 x'f09f9880')"),
            EILSEQ);
  EXPECT_EQ(told("DO _utf8mb4 x'ff'"), EILSEQ);
}

// Whoever has lost a connection does not wait for what it holds.
TEST(MysqlStore, AnotherConnectionsTransactionCanBeEnded) {
  for (const auto& url : {MysqlServer::shared().url(), tidb_url()}) {
    if (url.empty()) continue;
    MysqlDriver driver(parse_mysql_url(url).value());
    const auto lost = driver.connect({}).value();
    const auto by = driver.connect({}).value();
    ASSERT_TRUE(lost->script("CREATE TABLE IF NOT EXISTS ended (id INT PRIMARY KEY)", {}));
    ASSERT_TRUE(lost->script("BEGIN;INSERT INTO ended VALUES (1)", {}));
    ASSERT_TRUE(driver.end(*by, lost->backend(), {})) << url;
    const char* const again = "INSERT INTO ended VALUES (1);DROP TABLE ended";
    Status same = by->script(again, {});
    // TiDB leaves the locks to their end, after 20 s.
    if (driver.is_tidb() && !same) same = by->script(again, {});
    EXPECT_TRUE(same) << url << ", not waited for, nor committed: " << same.error().to_string();
    EXPECT_EQ(code_of(lost->script("DO 1", {})), sql::server::kLost);
    EXPECT_TRUE(driver.end(*by, lost->backend(), {})) << "once more";
  }
}

// The same touches on both engines: on SQLite assignments see the row as it was.
TEST(MysqlStore, TouchesGiveTheTimesThatSqliteGives) {
  testing::TestVolume here{testing::VolumeSetup{.engine = testing::Engine::mysql}};
  testing::TestVolume there{testing::VolumeSetup{.engine = testing::Engine::sqlite}};
  const auto mysql = here.open();
  const auto sqlite = there.open();
  std::minstd_rand random(1);
  const auto time = [&] {  // so that all orders of micros and nanos come up
    const int64_t nanos = 1'000'000'000 + static_cast<int64_t>(random() % 3) * 1000 +
                          std::array{0, 1, 998, 999}[random() % 4] +
                          (random() % 8 == 0 ? int64_t{4'000'000'000} : 0);
    return Time{nanos / 1'000'000'000, static_cast<uint32_t>(nanos % 1'000'000'000)};
  };
  for (int i = 0; i < 300; ++i) {
    PatchNode place{.ino = kRootIno, .set = field::mtime | field::ctime};
    place.values.mtime = time();
    place.values.ctime = time();
    PatchNode touch{.ino = kRootIno, .set = 0};
    (random() % 2 ? touch.touch : touch.touch_ctime) = time();
    for (Store* store : {mysql.get(), sqlite.get()}) {
      ASSERT_TRUE(write(*store, place));
      ASSERT_TRUE(write(*store, touch));
    }
    const auto got = *ask(*mysql, AttrRead{kRootIno, field::all, {}}).value;
    const auto wanted = *ask(*sqlite, AttrRead{kRootIno, field::all, {}}).value;
    ASSERT_EQ(got.ctime, wanted.ctime) << i;
    ASSERT_EQ(got.mtime, wanted.mtime) << i;
  }
}

}  // namespace
}  // namespace cider::meta::mysql
