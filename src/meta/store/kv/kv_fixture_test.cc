// Volumes that JuiceFS 1.4.1 wrote to etcd and Badger, read by us through each engine.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "meta/store/kv/keys.h"
#include "meta/store/kv/kv_store.h"
#include "meta/store/kv/memkv/mem_database.h"
#include "meta/store/kv/rocksdb/rocks_database.h"
#include "meta/store/kv/testing/kv_testing.h"
#include "meta/testing/expected_volume.h"

namespace cider::meta::kv {
namespace {

using meta::testing::EmptyXattrs;
using meta::testing::expect_inodes;
using meta::testing::expect_listings;
using testing::ask;

// A fixture in one of the engines: "main-etcd/rocksdb".
class KvFixture : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  void open(const std::filesystem::path& fixture) {
    if (std::string(std::get<1>(GetParam())) == "rocksdb") {
      std::string pattern = (std::filesystem::temp_directory_path() / "cider-rocks-XXXXXX").string();
      ASSERT_TRUE(mkdtemp(pattern.data()));
      folder_ = pattern;
      auto opened = open_rocksdb(folder_ / "db", {.create = true});
      ASSERT_TRUE(opened) << opened.error().to_string();
      database_ = *std::move(opened);
    } else {
      database_ = std::make_shared<MemDatabase>();
    }
    testing::put_pairs(*database_, testing::load_pairs(fixture));
    store_ = std::make_unique<KvStore>(database_);
    expected_ = nlohmann::json::parse(cider::testing::read_file(fixture / "expected.json"));
  }
  void TearDown() override {
    store_.reset();
    database_.reset();
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  std::filesystem::path folder_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<KvStore> store_;
  nlohmann::json expected_;
};

TEST_P(KvFixture, every_inode_reads_as_expected) {
  CIDER_FIXTURE(dir, std::get<0>(GetParam()));
  open(dir);
  EXPECT_GE(expect_inodes(*store_, expected_, EmptyXattrs::passed_over), 150U);
}

TEST_P(KvFixture, directories_list_what_a_walk_found) {
  CIDER_FIXTURE(dir, std::get<0>(GetParam()));
  open(dir);
  expect_listings(*store_, expected_);
}

TEST_P(KvFixture, sessions_locks_and_counters) {
  CIDER_FIXTURE(dir, std::get<0>(GetParam()));
  open(dir);
  EXPECT_EQ(store_->counter(Counter::next_inode), 1026);
  EXPECT_EQ(store_->counter(Counter::used_space), 300281856);
  EXPECT_EQ(store_->counter(Counter::last_cleanup_files), 0);
  EXPECT_TRUE(*store_->has_quotas());
  EXPECT_EQ(store_->load_setting().value(), cider::testing::read_file(dir / "setting.json"));
  const auto sessions = store_->list_sessions().value();
  ASSERT_EQ(sessions.size(), 1U);
  const uint64_t sid = sessions[0].sid;
  EXPECT_NE(sessions[0].info.find("1.4.1"), std::string::npos);
  EXPECT_EQ(store_->sustained_inodes(sid), std::vector<Ino>{198});
  EXPECT_EQ(ask(*store_, SustainedRead{198, {}}).sids, std::vector<uint64_t>{sid});
  const auto locks = store_->session_locks(sid).value();
  ASSERT_EQ(locks.size(), 5U);
  const auto delayed = store_->delayed_slices(INT64_MAX, 10).value();
  ASSERT_EQ(delayed.size(), 1U);
  EXPECT_EQ(store_->delayed_slices(delayed[0].deleted, 10)->size(), 0U);
  ASSERT_TRUE(testing::write(*store_, DeleteSession{sid}));
  EXPECT_TRUE(store_->session_locks(sid)->empty());
  EXPECT_TRUE(store_->list_sessions()->empty());
}

TEST_P(KvFixture, scans_show_every_chunk_and_count) {
  CIDER_FIXTURE(dir, std::get<0>(GetParam()));
  open(dir);
  size_t chunks = 0;
  size_t counts = 0;
  for (const auto& [key, value] : testing::load_pairs(dir)) {
    chunks += parse_chunk_key(key) ? 1 : 0;
    counts += parse_slice_ref_key(key) ? 1 : 0;
  }
  std::set<std::pair<Ino, uint32_t>> shown;
  for (TableCursor cursor; !cursor.at_end;) {
    const auto rows = store_->scan_chunks(&cursor, 7).value();
    for (const ChunkRow& row : rows) EXPECT_TRUE(shown.emplace(row.ino, row.index).second);
  }
  EXPECT_EQ(shown.size(), chunks);
  size_t counted = 0;
  for (TableCursor cursor; !cursor.at_end;) counted += store_->scan_slice_counts(&cursor, 4)->size();
  EXPECT_EQ(counted, counts);
}

INSTANTIATE_TEST_SUITE_P(Volumes, KvFixture,
                         ::testing::Combine(::testing::Values("main-badger", "main-etcd"),
                                            ::testing::Values("memkv", "rocksdb")),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)).substr(5) + "_" +
                                  std::get<1>(test.param);
                         });

}  // namespace
}  // namespace cider::meta::kv
