// What is PostgreSQL's own: schemas, and how the server refuses.
#include "meta/testing/meta_fixture.h"
#include "meta/testing/sql_servers.h"

namespace cider::meta::postgres {
namespace {

using testing::open;
using testing::PostgresServer;
using testing::write;

TEST(PostgresStore, VolumesHaveASchemaEach) {
  auto& server = PostgresServer::shared();
  server.sql("DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other");
  const std::string url = server.url("search_path=other");
  auto store = open(url);
  EXPECT_EQ(store->load_setting().value(), std::nullopt);
  Volume volume;
  volume.name = "other";
  volume.storage = "mem";
  ASSERT_TRUE(format_volume(*store, &volume));
  ASSERT_TRUE(write(*store, AddUsage{1, 1}));
  ASSERT_TRUE(store->sync());
  EXPECT_EQ(server.sql("SELECT value FROM other.jfs_counter WHERE name='totalInodes'"), "1\n");
  store.reset();
  ASSERT_TRUE(open(url)->destroy_volume());
  EXPECT_EQ(server.sql("SELECT count(*) FROM pg_tables WHERE schemaname='other'"), "0\n");
}

TEST(PostgresStore, RefusalsAreToldWithoutThePassword) {
  const std::string host = "?host=" + PostgresServer::shared().dir();
  EXPECT_EQ(code_of(open_store("postgres://cider:secret@/nowhere" + host, false, false)), ENOENT);
  EXPECT_EQ(code_of(open_store("postgres://nobody:secret@/postgres" + host, false, false)), EACCES);
  auto away = open_store("postgres://cider:secret@/postgres?host=/nonexistent", false, false);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, ECONNREFUSED);
  EXPECT_EQ(away.error().message.find("secret"), std::string::npos) << away.error().message;
  auto store = open_store("postgres://cider:secret@/postgres" + host, false, false);
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->describe().find("secret"), std::string::npos);
}

}  // namespace
}  // namespace cider::meta::postgres
