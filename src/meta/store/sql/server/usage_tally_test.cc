// What clients of an SQL server tell of their usage in tables of ours, beside older clients and other
// volumes.
#include <gtest/gtest.h>

#include <thread>

#include "meta/testing/sql_servers.h"
#include "meta/testing/test_volume.h"

namespace cider::meta::sql::server {
namespace {

using testing::open;
using testing::TestVolume;
using testing::VolumeSetup;
using testing::write;

constexpr int64_t kNow = 1'800'000'000;
constexpr int64_t kDay = 24 * 3600;

template <class Kind>
class ServerUsageTally : public ::testing::Test {
 protected:
  using Server = Kind::Server;

  static Server& server() { return Server::shared(); }
  static std::string url() { return server().url(); }
  static std::string sql(const std::string& text) { return server().sql(text); }
  static std::string stored() { return sql("SELECT value FROM jfs_counter WHERE name='totalInodes'"); }
  // A client that had a session, which nobody knows any more.
  static void dead_client(const std::string& volume, int counted) {
    sql("INSERT INTO cider_op (client,slot,seq,space,inodes) VALUES ('dead',1,1,4096,2),('dead',2,1,4096,3)");
    sql("INSERT INTO cider_client (client,sid,volume,space,inodes,gone) VALUES ('dead',99,'" + volume +
        "',8192," + std::to_string(counted) + ",0)");
  }
  std::string volume_uuid() {
    return decode_volume(open(url())->load_setting().value().value()).value().uuid;
  }

  TestVolume volume_{VolumeSetup{.engine = Kind::kEngine, .clients = 0}};
};

TYPED_TEST_SUITE(ServerUsageTally, testing::SqlServers, testing::NameOfServer);

TYPED_TEST(ServerUsageTally, WhoLeavesInOrderLeavesNothing) {
  {
    auto a = open(this->url());
    ASSERT_TRUE(a->put_session({1, kNow, "{}"}));
    ASSERT_TRUE(write(*a, AddUsage{4096, 1}));
    ASSERT_TRUE(a->sync());
    ASSERT_TRUE(write(*a, AddUsage{4096, 1}));
    EXPECT_EQ(this->sql("SELECT space,inodes FROM cider_client"), this->sql("SELECT 4096,1"));
    EXPECT_EQ(this->sql("SELECT SUM(inodes) FROM cider_op"), "2\n");
  }
  EXPECT_EQ(this->stored(), "2\n");
  EXPECT_EQ(this->sql("SELECT COUNT(*) FROM cider_op"), "0\n");
  EXPECT_EQ(this->sql("SELECT COUNT(*) FROM cider_client"), "0\n");
}

TYPED_TEST(ServerUsageTally, TablesOfAnOlderClientAreCompleted) {
  ASSERT_TRUE(write(*open(this->url()), AddUsage{0, 0}));
  this->sql("ALTER TABLE cider_op DROP COLUMN space, DROP COLUMN inodes");
  this->sql("DROP TABLE cider_client");
  this->sql("INSERT INTO cider_op (client,slot,seq) VALUES ('old',1,7)");
  {
    std::vector<std::unique_ptr<Store>> stores;
    for (int i = 0; i < 4; ++i) stores.push_back(open(this->url()));
    std::vector<std::jthread> threads;
    for (const auto& store : stores)
      threads.emplace_back([&store] { EXPECT_TRUE(write(*store, AddUsage{4096, 1})); });
    threads.clear();
    // What an older client goes on to write.
    this->sql("INSERT INTO cider_op (client,slot,seq) VALUES ('old',2,1)");
    this->sql("UPDATE cider_op SET seq=8 WHERE client='old' AND slot=1");
    ASSERT_TRUE(stores[0]->count_left_usage(kNow));
  }
  EXPECT_EQ(this->stored(), "4\n");
  EXPECT_EQ(this->sql("SELECT COUNT(*) FROM cider_op"), "2\n");
}

TYPED_TEST(ServerUsageTally, RowsOfADeadClientGoADayLater) {
  auto a = open(this->url());
  ASSERT_TRUE(write(*a, AddUsage{0, 0}));
  this->dead_client(this->volume_uuid(), 1);
  ASSERT_TRUE(a->count_left_usage(kNow));
  EXPECT_EQ(this->stored(), "4\n");
  ASSERT_TRUE(a->count_left_usage(kNow + kDay - 1));
  EXPECT_EQ(this->stored(), "4\n");
  EXPECT_EQ(this->sql("SELECT COUNT(*) FROM cider_op WHERE client='dead'"), "2\n");
  ASSERT_TRUE(a->count_left_usage(kNow + kDay));
  EXPECT_EQ(this->sql("SELECT COUNT(*) FROM cider_op WHERE client='dead'"), "0\n");
  EXPECT_EQ(this->sql("SELECT COUNT(*) FROM cider_client WHERE client='dead'"), "0\n");
  EXPECT_EQ(this->stored(), "4\n");
}

// JuiceFS has destroyed that volume and made this one: it leaves our tables alone.
TYPED_TEST(ServerUsageTally, AnotherVolumesClientIsNotCounted) {
  auto a = open(this->url());
  ASSERT_TRUE(write(*a, AddUsage{0, 0}));
  this->dead_client("another", 1);
  ASSERT_TRUE(a->count_left_usage(kNow));
  ASSERT_TRUE(a->count_left_usage(kNow + kDay));
  EXPECT_EQ(this->stored(), "0\n");
  EXPECT_EQ(this->sql("SELECT COUNT(*) FROM cider_op WHERE client='dead'"), "0\n");
}

TYPED_TEST(ServerUsageTally, OfAVolumeThatIsGoneNothingIsCounted) {
  auto a = open(this->url());
  const std::string setting = a->load_setting().value().value();
  Attr root;
  root.type = FileType::directory;
  ASSERT_TRUE(write(*a, AddUsage{4096, 1}));
  ASSERT_TRUE(a->sync());
  ASSERT_TRUE(write(*a, AddUsage{4096, 1}));
  ASSERT_TRUE(a->destroy_volume());
  ASSERT_TRUE(a->create_volume(setting, root, {}));
  EXPECT_EQ(a->counter(Counter::total_inodes), 0);
  ASSERT_TRUE(write(*a, AddUsage{4096, 1}));
  EXPECT_EQ(a->counter(Counter::total_inodes), 1);
  ASSERT_TRUE(a->sync());
  EXPECT_EQ(a->counter(Counter::total_inodes), 1);
  EXPECT_EQ(this->stored(), "1\n");
}

// Its rows were removed while it was stopped.
TYPED_TEST(ServerUsageTally, AClientWhoseRowsAreGoneGoesOn) {
  auto a = open(this->url());
  ASSERT_TRUE(write(*a, AddUsage{4096, 5}));
  ASSERT_TRUE(a->sync());
  this->sql("DELETE FROM cider_op");
  this->sql("DELETE FROM cider_client");
  ASSERT_TRUE(write(*a, AddUsage{4096, 1}));
  ASSERT_TRUE(a->sync());
  EXPECT_EQ(a->counter(Counter::total_inodes), 6);
  EXPECT_EQ(this->stored(), "6\n");
}

}  // namespace
}  // namespace cider::meta::sql::server
