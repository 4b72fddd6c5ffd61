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

namespace cider::meta::kv {
namespace {

using testing::ask;

int64_t nanos(Time t) {
  return t.sec * 1'000'000'000 + t.nsec;
}

FileType type_of(const std::string& name) {
  static const std::map<std::string, FileType> kTypes = {
      {"file", FileType::file},    {"dir", FileType::directory},         {"symlink", FileType::symlink},
      {"fifo", FileType::fifo},    {"blockdev", FileType::block_device}, {"chardev", FileType::char_device},
      {"socket", FileType::socket}};
  return kTypes.at(name);
}

void compare_attr(const Attr& attr, const nlohmann::json& entry) {
  EXPECT_EQ(attr.type, type_of(entry["type"]));
  EXPECT_EQ(attr.mode, std::stoul(entry["mode"].get<std::string>(), nullptr, 8));
  EXPECT_EQ(attr.uid, entry["uid"].get<uint32_t>());
  EXPECT_EQ(attr.gid, entry["gid"].get<uint32_t>());
  EXPECT_EQ(attr.nlink, entry["nlink"].get<uint32_t>());
  EXPECT_EQ(attr.rdev, entry.value("rdev", 0U));
  // `.trash` itself is shown with the times of the mount and no size; the kernel cuts y9999's nanoseconds.
  if (entry["inode"].get<Ino>() == kTrashIno || entry.value("path", "") == "times/y9999") return;
  EXPECT_EQ(attr.length, entry["size"].get<uint64_t>());
  EXPECT_EQ(nanos(attr.atime), entry["atime_ns"].get<int64_t>());
  EXPECT_EQ(nanos(attr.mtime), entry["mtime_ns"].get<int64_t>());
  EXPECT_EQ(nanos(attr.ctime), entry["ctime_ns"].get<int64_t>());
}

void compare(Store& store, const nlohmann::json& entry) {
  const Ino ino = entry["inode"].get<Ino>();
  const auto attr = ask(store, AttrRead{ino, field::all, {}}).value;
  ASSERT_TRUE(attr);
  compare_attr(*attr, entry);
  if (entry.contains("target")) {
    EXPECT_EQ(ask(store, SymlinkRead{ino, {}}).target, entry["target"].get<std::string>());
  }
  std::map<std::string, std::string> xattrs;
  for (const std::string& name : ask(store, XattrNamesRead{ino, {}}).names) {
    const auto value = ask(store, XattrRead{ino, name, {}}).value;
    ASSERT_TRUE(value) << name;
    if (!value->empty()) xattrs[name] = to_hex(*value);  // JuiceFS can't read an empty one again
  }
  std::map<std::string, std::string> wanted;
  if (entry.contains("xattrs_hex")) wanted = entry["xattrs_hex"];
  std::erase_if(wanted, [](const auto& xattr) { return xattr.second.empty(); });
  EXPECT_EQ(xattrs, wanted);
}

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
  size_t compared = 0;
  for (const char* list : {"entries", "trash_entries"}) {
    for (const auto& entry : expected_[list]) {
      SCOPED_TRACE(entry.dump());
      compare(*store_, entry);
      ++compared;
    }
  }
  EXPECT_GE(compared, 150U);
}

TEST_P(KvFixture, directories_list_what_a_walk_found) {
  CIDER_FIXTURE(dir, std::get<0>(GetParam()));
  open(dir);
  std::map<std::string, Ino> wanted;
  for (const auto& entry : expected_["entries"]) {
    if (entry.contains("path")) wanted[entry["path"]] = entry["inode"].get<Ino>();
  }
  std::map<std::string, Ino> found = {{"", kRootIno}};
  std::vector<std::pair<std::string, Ino>> todo = {{"", kRootIno}};
  size_t not_utf8 = 0;
  while (!todo.empty()) {
    const auto [path, ino] = todo.back();
    todo.pop_back();
    DirCursor cursor;
    while (!cursor.at_end) {
      auto page = store_->list_dir(ino, &cursor, 3, true);
      ASSERT_TRUE(page);
      for (const ListedEntry& listed : *page) {
        const std::string child = path.empty() ? listed.name : path + "/" + listed.name;
        ASSERT_TRUE(listed.attr) << child;
        EXPECT_EQ(listed.attr->type, listed.entry.type);
        if (wanted.contains(child)) {
          EXPECT_TRUE(found.emplace(child, listed.entry.ino).second) << child << " twice";
        } else {
          ++not_utf8;
        }
        if (listed.attr->is_dir()) todo.emplace_back(child, listed.entry.ino);
      }
    }
  }
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(not_utf8 + found.size(), expected_["entries"].size());
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
