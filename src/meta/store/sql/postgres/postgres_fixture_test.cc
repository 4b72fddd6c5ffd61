// A volume that JuiceFS 1.4.1 wrote, read by us; and the tables that we make, compared with JuiceFS's.
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/testing/fixtures.h"
#include "meta/testing/expected_volume.h"
#include "meta/testing/postgres_testing.h"

namespace cider::meta::postgres {
namespace {

using testing::expect_inodes;
using testing::expect_listings;
using testing::PostgresServer;

// The database's schema public is the fixture's.
class PostgresFixture : public ::testing::Test {
 protected:
  void load(const std::filesystem::path& dir) {
    server().sql("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public");
    server().sql_file(dir / "dump.sql");
    store_ = open(server().url());
    expected_ = nlohmann::json::parse(cider::testing::read_file(dir / "expected.json"));
  }
  void TearDown() override { store_.reset(); }
  static PostgresServer& server() { return PostgresServer::shared(); }

  std::unique_ptr<Store> store_;
  nlohmann::json expected_;
};

TEST_F(PostgresFixture, EveryInodeReadsAsExpected) {
  CIDER_FIXTURE(dir, "main-postgres");
  load(dir);
  EXPECT_GE(expect_inodes(*store_, expected_), 12U);
  EXPECT_EQ(store_->load_setting().value(), cider::testing::read_file(dir / "setting.json"));
}

TEST_F(PostgresFixture, DirectoriesListWhatAWalkFound) {
  CIDER_FIXTURE(dir, "main-postgres");
  load(dir);
  expect_listings(*store_, expected_);
}

TEST_F(PostgresFixture, TablesAreThoseOfJuiceFS) {
  CIDER_FIXTURE(dir, "main-postgres");
  load(dir);
  const std::string columns =
      "SELECT table_name,column_name,data_type,character_maximum_length,is_nullable,column_default FROM "
      "information_schema.columns WHERE table_schema='public' AND table_name LIKE 'jfs\\_%' ORDER BY "
      "table_name, "
      "ordinal_position";
  const std::string indexes =
      "SELECT tablename,indexname,indexdef FROM pg_indexes WHERE schemaname='public' AND tablename LIKE "
      "'jfs\\_%' "
      "ORDER BY 1,2";
  const std::string their_columns = server().sql(columns), their_indexes = server().sql(indexes);
  EXPECT_GT(their_columns.size(), 2000U);
  // Nothing is added to them when they are opened.
  ASSERT_TRUE(store_->destroy_volume());
  EXPECT_EQ(server().sql("SELECT count(*) FROM pg_tables WHERE schemaname='public'"), "0\n");
  ASSERT_TRUE(store_->create_volume("{}", Attr{}, std::nullopt));
  EXPECT_EQ(server().sql(columns), their_columns);
  EXPECT_EQ(server().sql(indexes), their_indexes);
}

TEST_F(PostgresFixture, AnOlderVolumeIsCompleted) {
  CIDER_FIXTURE(dir, "main-postgres");
  load(dir);
  store_.reset();
  server().sql(
      "ALTER TABLE jfs_node DROP COLUMN tier_id, DROP COLUMN atimensec; DROP TABLE jfs_user_group_quota; "
      "DROP INDEX \"IDX_jfs_chunk_ref_refs\"");
  EXPECT_EQ(code_of(open_store(server().url(), false, true)), EROFS);
  store_ = open(server().url());
  EXPECT_EQ(ask(*store_, AttrRead{kRootIno}).value->atime.nsec % 1000, 0U);
  EXPECT_EQ(server().sql("SELECT count(*) FROM pg_indexes WHERE indexname='IDX_jfs_chunk_ref_refs'"), "1\n");
}

TEST_F(PostgresFixture, SessionsLocksAndCounters) {
  CIDER_FIXTURE(dir, "main-postgres");
  load(dir);
  EXPECT_EQ(store_->counter(Counter::last_cleanup_files), 0);
  EXPECT_GT(store_->counter(Counter::next_inode).value(), 1000);
  auto sessions = store_->list_sessions().value();
  ASSERT_EQ(sessions.size(), 1U);
  auto locks = store_->session_locks(sessions[0].sid).value();
  ASSERT_EQ(locks.size(), 5U);
  EXPECT_EQ(locks[3].ranges.back().end, 0x7FFFFFFFFFFFFFFFU);
  size_t rules = 0;
  while (store_->acl(static_cast<uint32_t>(rules) + 1).value()) ++rules;
  EXPECT_GT(rules, 0U);
  auto rule = store_->acl(1).value().value();
  EXPECT_EQ(store_->intern_acl(rule), 1U);
}

}  // namespace
}  // namespace cider::meta::postgres
