// Volumes that JuiceFS 1.4.1 wrote, read by us; and the tables that we make, compared with JuiceFS's.
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/testing/fixtures.h"
#include "meta/testing/expected_volume.h"
#include "meta/testing/sql_servers.h"

namespace cider::meta::sql::server {
namespace {

using testing::ask;
using testing::expect_inodes;
using testing::expect_listings;
using testing::open;

// The whole database is the fixture's.
template <class Kind>
class ServerFixture : public ::testing::Test {
 protected:
  void load(const std::filesystem::path& dir) {
    server().sql(Kind::kEmpty);
    server().sql_file(dir / "dump.sql");
    store_ = open(server().url());
    expected_ = nlohmann::json::parse(cider::testing::read_file(dir / "expected.json"));
  }
  void TearDown() override { store_.reset(); }
  static Kind::Server& server() { return Kind::Server::shared(); }

  std::unique_ptr<Store> store_;
  nlohmann::json expected_;
};

TYPED_TEST_SUITE(ServerFixture, testing::SqlServers, testing::NameOfServer);

TYPED_TEST(ServerFixture, EveryInodeReadsAsExpected) {
  CIDER_FIXTURE(dir, TypeParam::kFixture);
  this->load(dir);
  EXPECT_GE(expect_inodes(*this->store_, this->expected_), 12U);
  EXPECT_EQ(this->store_->load_setting().value(), cider::testing::read_file(dir / "setting.json"));
}

TYPED_TEST(ServerFixture, DirectoriesListWhatAWalkFound) {
  CIDER_FIXTURE(dir, TypeParam::kFixture);
  this->load(dir);
  expect_listings(*this->store_, this->expected_);
}

TYPED_TEST(ServerFixture, TablesAreThoseOfJuiceFS) {
  CIDER_FIXTURE(dir, TypeParam::kFixture);
  this->load(dir);
  const std::string their_columns = this->server().sql(TypeParam::kColumns),
                    their_indexes = this->server().sql(TypeParam::kIndexes);
  EXPECT_GT(their_columns.size(), 2000U);
  // Nothing is added to them when they are opened.
  ASSERT_TRUE(this->store_->destroy_volume());
  EXPECT_EQ(this->server().sql(TypeParam::kTables), "");
  ASSERT_TRUE(this->store_->create_volume("{}", Attr{}, std::nullopt));
  EXPECT_EQ(this->server().sql(TypeParam::kColumns), their_columns);
  EXPECT_EQ(this->server().sql(TypeParam::kIndexes), their_indexes);
}

TYPED_TEST(ServerFixture, AnOlderVolumeIsCompleted) {
  CIDER_FIXTURE(dir, TypeParam::kFixture);
  this->load(dir);
  this->store_.reset();
  this->server().sql(TypeParam::kMakeOlder);
  EXPECT_EQ(code_of(open_store(this->server().url(), false, true)), EROFS);
  this->store_ = open(this->server().url());
  EXPECT_EQ(ask(*this->store_, AttrRead{kRootIno}).value->atime.nsec % 1000, 0U);
  EXPECT_NE(this->server().sql(TypeParam::kIndexes).find("IDX_jfs_chunk_ref_refs"), std::string::npos);
}

TYPED_TEST(ServerFixture, SessionsLocksAndCounters) {
  CIDER_FIXTURE(dir, TypeParam::kFixture);
  this->load(dir);
  EXPECT_EQ(this->store_->counter(Counter::last_cleanup_files), 0);
  EXPECT_GT(this->store_->counter(Counter::next_inode).value(), 1000);
  auto sessions = this->store_->list_sessions().value();
  ASSERT_EQ(sessions.size(), 1U);
  auto locks = this->store_->session_locks(sessions[0].sid).value();
  ASSERT_EQ(locks.size(), 5U);
  EXPECT_EQ(locks[3].ranges.back().end, 0x7FFFFFFFFFFFFFFFU);
  size_t rules = 0;
  while (this->store_->acl(static_cast<uint32_t>(rules) + 1).value()) ++rules;
  EXPECT_GT(rules, 0U);
  auto rule = this->store_->acl(1).value().value();
  EXPECT_EQ(this->store_->intern_acl(rule), 1U);
}

}  // namespace
}  // namespace cider::meta::sql::server
