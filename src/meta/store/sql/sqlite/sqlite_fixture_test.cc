// Volumes that JuiceFS 1.4.1 wrote, read by us; and rows that we write for the same facts, compared with
// JuiceFS's.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/testing/fixtures.h"
#include "meta/model/slices.h"
#include "meta/testing/expected_volume.h"
#include "meta/testing/sqlite_testing.h"

namespace cider::meta::sqlite {
namespace {

using testing::expect_inodes;
using testing::expect_listings;

// A copy that may be written to.
class FixtureVolume {
 public:
  explicit FixtureVolume(const std::filesystem::path& fixture) : path(folder_ / "meta.db") {
    std::filesystem::copy_file(fixture / "meta.db", path);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    expected = nlohmann::json::parse(cider::testing::read_file(fixture / "expected.json"));
    store = open_store(path);
  }

 private:
  TempFolder folder_;

 public:
  const std::string path;
  nlohmann::json expected;
  std::unique_ptr<Store> store;
};

class Fixture : public ::testing::TestWithParam<const char*> {};

TEST_P(Fixture, every_inode_reads_as_expected) {
  CIDER_FIXTURE(dir, GetParam());
  FixtureVolume volume(dir);
  EXPECT_GE(expect_inodes(*volume.store, volume.expected), 12U);
}

TEST_P(Fixture, directories_list_what_a_walk_found) {
  CIDER_FIXTURE(dir, GetParam());
  FixtureVolume volume(dir);
  expect_listings(*volume.store, volume.expected);
}

// Every row of jfs_node, written anew from what we decoded, has the same values and the same types, whether
// inserted or patched.
TEST_P(Fixture, rows_we_write_equal_those_of_juicefs) {
  CIDER_FIXTURE(dir, GetParam());
  FixtureVolume theirs(dir);
  TestVolume ours;
  const std::string all = "SELECT * FROM jfs_node ORDER BY inode";
  auto wanted = rows(theirs.path, all);
  std::vector<std::string> inodes = rows(theirs.path, "SELECT inode FROM jfs_node ORDER BY inode");
  ASSERT_TRUE(write(*ours.store, DeleteNode{kRootIno}, DeleteNode{kTrashIno}));
  for (bool patched : {false, true}) {
    for (const std::string& text : inodes) {
      Ino ino = std::stoull(text);
      Attr attr = ask(*theirs.store, AttrRead{ino, field::all, {}}).value.value();
      if (patched) {
        PatchNode patch{ino, field::all, attr, 0, {}, {}};
        ASSERT_TRUE(write(*ours.store, DeleteNode{ino}, InsertNode{ino, Attr{}}, patch));
      } else {
        ASSERT_TRUE(write(*ours.store, InsertNode{ino, attr}));
      }
    }
    EXPECT_EQ(rows(ours.path, all), wanted);
  }
}

TEST_P(Fixture, other_rows_we_write_equal_those_of_juicefs) {
  CIDER_FIXTURE(dir, GetParam());
  FixtureVolume theirs(dir);
  TestVolume ours;
  Store& store = *ours.store;
  for (const std::string& row : rows(theirs.path, "SELECT DISTINCT inode FROM jfs_node ORDER BY inode")) {
    Ino ino = std::stoull(row);
    if (auto target = ask(*theirs.store, SymlinkRead{ino, {}}).target) {
      ASSERT_TRUE(write(store, SetSymlink{ino, *target}));
    }
    for (const Flock& lock : ask(*theirs.store, FlocksRead{ino, {}}).table)
      ASSERT_TRUE(write(store, PutFlock{ino, lock}));
    for (const Plock& lock : ask(*theirs.store, PlocksRead{ino, {}}).table)
      ASSERT_TRUE(write(store, PutPlock{ino, lock}));
    for (uint64_t sid : ask(*theirs.store, SustainedRead{ino, {}}).sids)
      ASSERT_TRUE(write(store, PutSustained{sid, ino}));
    for (auto& name : ask(*theirs.store, XattrNamesRead{ino, {}}).names) {
      ASSERT_TRUE(
          write(store, SetXattr{ino, name, ask(*theirs.store, XattrRead{ino, name, {}}).value.value()}));
    }
    for (auto& [index, records] : ask(*theirs.store, ChunkRangeRead{ino, 0, UINT32_MAX, {}}).chunks) {
      ASSERT_TRUE(write(store, AppendSlices{ino, index, records, nullptr}));
    }
  }
  auto sessions = theirs.store->list_sessions().value();
  for (const SessionRecord& session : sessions) ASSERT_TRUE(store.put_session(session));
  for (uint32_t id = 1; auto rule = theirs.store->acl(id).value(); ++id)
    EXPECT_EQ(store.intern_acl(*rule), id);
  for (const char* query :
       {"SELECT * FROM jfs_symlink ORDER BY inode",
        "SELECT inode,name,value FROM jfs_xattr ORDER BY inode,name",
        "SELECT inode,sid,owner,ltype FROM jfs_flock ORDER BY inode,sid,owner", "SELECT * FROM jfs_session2",
        "SELECT inode,sid,owner,records FROM jfs_plock ORDER BY inode,sid,owner",
        "SELECT sid,inode FROM jfs_sustained", "SELECT * FROM jfs_acl ORDER BY id",
        "SELECT inode,indx,CAST(slices AS BLOB) FROM jfs_chunk WHERE inode IN (SELECT inode FROM jfs_node) "
        "ORDER BY inode,indx"}) {
    auto wanted = rows(theirs.path, query);
    auto written = rows(ours.path, query);
    // The chunks of ours have no inodes beside them.
    if (std::string(query).find("jfs_chunk") != std::string::npos) {
      written = rows(ours.path, "SELECT inode,indx,slices FROM jfs_chunk ORDER BY inode,indx");
    }
    EXPECT_EQ(written, wanted) << query;
  }
}

INSTANTIATE_TEST_SUITE_P(Volumes, Fixture,
                         ::testing::Values("main-sqlite", "small-zstd", "small-aes", "small-bs64k",
                                           "small-changelog-sqlite"));

TEST(SqliteFixture, a_time_that_juicefs_wrapped_is_read_as_it_stands) {
  CIDER_FIXTURE(dir, "main-sqlite");
  FixtureVolume volume(dir);
  auto attr = ask(*volume.store, AttrRead{119, field::all, {}}).value.value();
  EXPECT_EQ(attr.atime, (Time{-4852116233, 189'734'165}));  // -4852116232810265 us and -835 ns
}

TEST(SqliteFixture, chunks_that_juicefs_appended_are_text_and_read_whole) {
  CIDER_FIXTURE(dir, "main-sqlite");
  FixtureVolume volume(dir);
  auto text =
      rows(volume.path,
           "SELECT inode,indx,length(CAST(slices AS BLOB)) FROM jfs_chunk WHERE typeof(slices)='text'");
  ASSERT_FALSE(text.empty());
  for (const std::string& row : text) {
    Ino ino = std::stoull(row);
    uint32_t index = static_cast<uint32_t>(std::stoul(row.substr(row.find('|') + 1)));
    size_t size = std::stoul(row.substr(row.rfind('|') + 1));
    std::string records = ask(*volume.store, ChunkRead{ino, index, false, {}}).records;
    EXPECT_EQ(records.size(), size);
    auto slices = decode_slices(records);
    ASSERT_TRUE(slices) << slices.error().to_string();
    // Ours appended to theirs: still whole, and a BLOB again.
    uint32_t count = 0;
    std::string more = encode_slices({Slice{0, 0, 100, 0, 100}});
    ASSERT_TRUE(write(*volume.store, AppendSlices{ino, index, more, &count}));
    EXPECT_EQ(count, slices->size() + 1);
    EXPECT_EQ(ask(*volume.store, ChunkRead{ino, index, false, {}}).records, records + more);
    // And cut at its front.
    ASSERT_TRUE(write(*volume.store, ReplaceSlices{ino, index, records, more}));
    EXPECT_EQ(ask(*volume.store, ChunkRead{ino, index, false, {}}).records, more + more);
  }
}

TEST(SqliteFixture, sessions_locks_and_counters) {
  CIDER_FIXTURE(dir, "main-sqlite");
  FixtureVolume volume(dir);
  Store& store = *volume.store;
  EXPECT_EQ(store.counter(Counter::next_inode), 1026);
  EXPECT_EQ(store.counter(Counter::used_space), 300277760);
  EXPECT_EQ(store.counter(Counter::last_cleanup_files), 0);
  EXPECT_EQ(store.sustained_inodes(1), std::vector<Ino>{197});
  auto locks = store.session_locks(1).value();
  ASSERT_EQ(locks.size(), 5U);
  EXPECT_EQ(locks[0].kind, LockKind::write);
  EXPECT_EQ(locks[3].holder.owner, 13054681037630989979U);
  EXPECT_EQ(locks[3].ranges.size(), 3U);
  EXPECT_EQ(locks[3].ranges[2].end, 0x7FFFFFFFFFFFFFFFU);
  EXPECT_EQ(store.load_setting().value(), cider::testing::read_file(dir / "setting.json"));
  EXPECT_EQ(store.delayed_slices(1'795'361'446, 10), (std::vector<DelayedRow>{{66, 1'795'361'445}}));
  EXPECT_EQ(store.delayed_slices(1'795'361'445, 10), std::vector<DelayedRow>{});
  ASSERT_TRUE(write(store, DeleteSession{1}));
  EXPECT_TRUE(store.session_locks(1)->empty());
  EXPECT_TRUE(store.list_sessions()->empty());
}

}  // namespace
}  // namespace cider::meta::sqlite
