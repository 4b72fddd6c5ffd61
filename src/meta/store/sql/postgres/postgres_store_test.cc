// What is PostgreSQL's own: round trips, values beyond the columns' types, several volumes in one database.
#include <thread>

#include "meta/testing/postgres_proxy.h"
#include "meta/testing/postgres_testing.h"
#include "meta/testing/test_volume.h"

namespace cider::meta::postgres {
namespace {

using testing::Engine;
using testing::PostgresServer;
using testing::TestVolume;
using testing::VolumeSetup;

class PostgresStore : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& problem : volume_.problems()) ADD_FAILURE() << problem;
  }
  Meta& a() { return volume_.client(0); }
  Meta& b() { return volume_.client(1); }
  // Round trips of client a until now.
  uint64_t trips() { return counting(a().store()).round_trips(); }
  Ino make(const std::string& name, FileType type = FileType::file, Ino parent = kRootIno) {
    auto made = a().mknod(Caller{}, parent, name, NewNode{type, 0755, 0, {}});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? made->ino : 0;
  }

  TestVolume volume_{VolumeSetup{.engine = Engine::postgres}};
};

TEST_F(PostgresStore, AnOperationTakesTwoRoundTrips) {
  const Ino dir = make("d", FileType::directory);
  const Ino file = make("f");
  const auto name = [](const char* kind, int i) { return kind + std::to_string(i); };
  // The least of some: usage is written meanwhile, once a second.
  const auto count = [&](const char* what, auto operation, uint64_t expected = 2) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 5; ++i) {
      const uint64_t before = trips();
      EXPECT_TRUE(operation(i)) << what;
      least = std::min(least, trips() - before);
    }
    EXPECT_EQ(least, expected) << what;
  };
  count("create",
        [&](int i) { return a().mknod(Caller{}, kRootIno, name("new", i), NewNode{}).has_value(); });
  count("mkdir", [&](int i) {
    return a()
        .mknod(Caller{}, kRootIno, name("dir", i), NewNode{FileType::directory, 0755, 0, {}})
        .has_value();
  });
  count("rename", [&](int i) {
    return a().rename(Caller{}, kRootIno, name("new", i), dir, name("n", i), 0).has_value();
  });
  count("link", [&](int i) { return a().link(Caller{}, file, dir, name("l", i)).has_value(); });
  count("unlink", [&](int i) { return a().unlink(Caller{}, dir, name("n", i)).has_value(); });
  count("rmdir", [&](int i) { return a().rmdir(Caller{}, kRootIno, name("dir", i)).has_value(); });
  count("lookup", [&](int i) { return a().lookup(Caller{}, dir, name("l", i)).has_value(); }, 1);
  count("write", [&](int) {
    const uint64_t id = a().next_slice_id().value();
    const ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
    return a().write(file, std::span(&slice, 1), Time{1, 0}).has_value();
  });
}

TEST_F(PostgresStore, NumbersBeyondTheColumnsAreKept) {
  auto store = volume_.open();
  Attr attr;
  attr.type = FileType::char_device;
  attr.mode = 0644;
  attr.uid = 0xFFFFFFFE;
  attr.gid = 0x80000000;
  attr.rdev = 0xFFFFFFFF;
  attr.nlink = 1;
  attr.parent = kRootIno;
  attr.atime = {-1, 999'999'999};
  attr.mtime = {253'402'300'800, 1};
  const Ino ino = 1'000'000;
  ASSERT_TRUE(
      write(*store, InsertNode{ino, attr}, InsertEntry{kRootIno, "x", {ino, attr.type}}, AddUsage{4096, 1}));
  EXPECT_EQ(ask(*store, AttrRead{ino}).value, attr);
  attr.uid = 0xFFFFFFFF;
  PatchNode patch{ino, field::all, attr};
  ASSERT_TRUE(write(*store, patch));
  EXPECT_EQ(ask(*store, AttrRead{ino}).value, attr);
  ASSERT_TRUE(store->sync());
  ASSERT_TRUE(a().unlink(Caller{}, kRootIno, "x"));
}

TEST_F(PostgresStore, BytesOfNamesAreKept) {
  const std::string name("a\x01b\xff\\'?$1");
  const Ino ino = make(name);
  EXPECT_EQ(b().lookup(Caller{}, kRootIno, name)->ino, ino);
  EXPECT_EQ(code_of(a().unlink(Caller{}, kRootIno, name)), 0);
}

TEST_F(PostgresStore, VolumesShareADatabase) {
  auto& server = PostgresServer::shared();
  server.sql("DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other");
  for (const char* options : {"table_prefix=second", "search_path=other"}) {
    auto store = open(server.url(options));
    ASSERT_TRUE(store->destroy_volume());
    EXPECT_EQ(store->load_setting().value(), std::nullopt);
    Volume volume;
    volume.name = "second";
    volume.storage = "mem";
    ASSERT_TRUE(format_volume(*store, &volume));
    EXPECT_EQ(code_of(format_volume(*store, &volume)), EEXIST);
    ASSERT_TRUE(write(*store, AddUsage{1, 1}));
    ASSERT_TRUE(store->sync());
    EXPECT_EQ(store->counter(Counter::total_inodes), 1);
    store.reset();
    EXPECT_GT(server.sql(std::string(options).starts_with("table")
                             ? "SELECT value FROM jfs_second_counter WHERE name='totalInodes'"
                             : "SELECT value FROM other.jfs_counter WHERE name='totalInodes'"),
              "0");
    ASSERT_TRUE(open(server.url(options))->destroy_volume());
  }
  EXPECT_EQ(server.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'jfs_second%' OR tablename LIKE "
                       "'cider_second%' OR schemaname='other'"),
            "0\n");
}

TEST_F(PostgresStore, RefusalsAreToldWithoutThePassword) {
  const std::string host = "?host=" + PostgresServer::shared().dir();
  EXPECT_EQ(code_of(open_store("postgres://cider:secret@/nowhere" + host, false, false)), ENOENT);
  EXPECT_EQ(code_of(open_store("postgres://nobody:secret@/postgres" + host, false, false)), EACCES);
  auto away = open_store("postgres://cider:secret@/postgres?host=/nonexistent", false, false);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, ECONNREFUSED);
  EXPECT_EQ(away.error().message.find("secret"), std::string::npos) << away.error().message;
  EXPECT_EQ(a().store().describe().find("secret"), std::string::npos);
}

TEST_F(PostgresStore, ReadOnlyWritesNothing) {
  auto store = open(PostgresServer::shared().url(), true);
  EXPECT_EQ(code_of(write(*store, AddUsage{1, 1})), EROFS);
  EXPECT_EQ(code_of(store->add_counter(Counter::next_inode, 1)), EROFS);
  EXPECT_GT(store->counter(Counter::next_inode).value(), 0);
}

}  // namespace
}  // namespace cider::meta::postgres
