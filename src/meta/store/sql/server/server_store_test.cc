// What SQL servers have in common beside the operations: round trips, values beyond the columns' types,
// several volumes in one database.
#include <thread>

#include "meta/testing/sql_servers.h"
#include "meta/testing/test_volume.h"

namespace cider::meta::sql::server {
namespace {

using testing::ask;
using testing::open;
using testing::TestVolume;
using testing::VolumeSetup;
using testing::write;

template <class Kind>
class ServerStore : public ::testing::Test {
 protected:
  using Server = Kind::Server;

  void TearDown() override {
    for (const std::string& problem : volume_.problems()) ADD_FAILURE() << problem;
  }
  Meta& a() { return volume_.client(0); }
  Meta& b() { return volume_.client(1); }
  // Round trips of client a until now.
  uint64_t trips() { return testing::counting(a().store()).round_trips(); }
  Ino make(const std::string& name, FileType type = FileType::file, Ino parent = kRootIno) {
    auto made = a().mknod(Caller{}, parent, name, NewNode{type, 0755, 0, {}});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? made->ino : 0;
  }

  TestVolume volume_{VolumeSetup{.engine = Kind::kEngine}};
};

TYPED_TEST_SUITE(ServerStore, testing::SqlServers, testing::NameOfServer);

TYPED_TEST(ServerStore, AnOperationTakesTwoRoundTrips) {
  const Ino dir = this->make("d", FileType::directory);
  const Ino file = this->make("f");
  const auto name = [](const char* kind, int i) { return kind + std::to_string(i); };
  // The least of some: usage is written meanwhile, once a second.
  const auto count = [&](const char* what, auto operation, uint64_t expected = 2) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 5; ++i) {
      const uint64_t before = this->trips();
      EXPECT_TRUE(operation(i)) << what;
      least = std::min(least, this->trips() - before);
    }
    EXPECT_EQ(least, expected) << what;
  };
  count("create",
        [&](int i) { return this->a().mknod(Caller{}, kRootIno, name("new", i), NewNode{}).has_value(); });
  count("mkdir", [&](int i) {
    return this->a()
        .mknod(Caller{}, kRootIno, name("dir", i), NewNode{FileType::directory, 0755, 0, {}})
        .has_value();
  });
  count("rename", [&](int i) {
    return this->a().rename(Caller{}, kRootIno, name("new", i), dir, name("n", i), 0).has_value();
  });
  count("link", [&](int i) { return this->a().link(Caller{}, file, dir, name("l", i)).has_value(); });
  count("lookup", [&](int i) { return this->a().lookup(Caller{}, dir, name("l", i)).has_value(); }, 1);
  count("unlink", [&](int i) { return this->a().unlink(Caller{}, dir, name("n", i)).has_value(); });
  count("rmdir", [&](int i) { return this->a().rmdir(Caller{}, kRootIno, name("dir", i)).has_value(); });
  count("write", [&](int) {
    const uint64_t id = this->a().next_slice_id().value();
    const ChunkSlice slice{0, Slice{0, id, 512, 0, 512}};
    return this->a().write(file, std::span(&slice, 1), Time{1, 0}).has_value();
  });
}

TYPED_TEST(ServerStore, NumbersBeyondTheColumnsAreKept) {
  auto store = this->volume_.open();
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
  ASSERT_TRUE(write(*store, InsertNode{ino, attr}, InsertEntry{kRootIno, "x", {ino, attr.type}},
                    AddUsage{4096, 1}, AddDirStat{kRootIno, {0, 4096, 1}}));
  EXPECT_EQ(ask(*store, AttrRead{ino}).value, attr);
  attr.uid = 0xFFFFFFFF;
  PatchNode patch{ino, field::all, attr};
  ASSERT_TRUE(write(*store, patch));
  EXPECT_EQ(ask(*store, AttrRead{ino}).value, attr);
  ASSERT_TRUE(store->sync());
  ASSERT_TRUE(this->a().unlink(Caller{}, kRootIno, "x"));
}

TYPED_TEST(ServerStore, BytesOfNamesAreKept) {
  const std::string name("a\x01b\xff\\'?$1");
  const Ino ino = this->make(name);
  EXPECT_EQ(this->b().lookup(Caller{}, kRootIno, name)->ino, ino);
  EXPECT_EQ(code_of(this->a().unlink(Caller{}, kRootIno, name)), 0);
}

TYPED_TEST(ServerStore, ReadOnlyWritesNothing) {
  auto store = open(TypeParam::Server::shared().url(), true);
  EXPECT_EQ(code_of(write(*store, AddUsage{1, 1})), EROFS);
  EXPECT_EQ(code_of(store->add_counter(Counter::next_inode, 1)), EROFS);
  EXPECT_GT(store->counter(Counter::next_inode).value(), 0);
}

TYPED_TEST(ServerStore, VolumesShareADatabase) {
  auto& server = TypeParam::Server::shared();
  const std::string tables = server.sql(TypeParam::kTables);
  const std::string url = server.url("table_prefix=second");
  auto store = open(url);
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
  EXPECT_EQ(server.sql("SELECT value FROM jfs_second_counter WHERE name='totalInodes'"), "1\n");
  ASSERT_TRUE(open(url)->destroy_volume());
  EXPECT_EQ(server.sql(TypeParam::kTables), tables);
}

}  // namespace
}  // namespace cider::meta::sql::server
