#include <gtest/gtest.h>

#include <filesystem>

#include "object/object_store.h"
#include "object/sqlite/database.h"
#include "object/testing/stores.h"
#include "object/testing/temp_dir.h"

namespace cider::object {
namespace {

using sqlite::Pool;
using sqlite::Statement;
using testing::chain;
using testing::keys_of;

// What JuiceFS's storage sqlite3 makes of an empty database.
constexpr const char* kTable =
    "CREATE TABLE `jfs_blob` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `key` BLOB NOT NULL, `size` "
    "INTEGER NOT "
    "NULL, `modified` DATETIME NOT NULL, `data` BLOB NULL)";
constexpr const char* kIndex = "CREATE UNIQUE INDEX `UQE_jfs_blob_blob` ON `jfs_blob` (`key`)";

class SqliteStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_->create()); }

  std::string value(const char* sql) {
    auto db = *pool_.lease();
    auto row = *Statement::prepare(db.get(), sql);
    return *row.next() ? std::string(row.bytes(0)) : "nothing";
  }

  testing::TempDir dir_;
  std::string path_ = dir_.path() + "/objects.db";
  Pool pool_{path_};
  std::unique_ptr<ObjectStore> store_ = *open_store({"sqlite3", path_});
};

TEST_F(SqliteStoreTest, SchemaIsThatOfJuiceFs) {
  EXPECT_EQ(value("SELECT sql FROM sqlite_master WHERE name = 'jfs_blob'"), kTable);
  EXPECT_EQ(value("SELECT sql FROM sqlite_master WHERE name = 'UQE_jfs_blob_blob'"), kIndex);
}

TEST_F(SqliteStoreTest, RowsAreThoseOfJuiceFs) {
  ASSERT_TRUE(store_->put("a", chain({"123", "45"}), {}));
  ASSERT_TRUE(store_->put("a", chain({"67"}), {}));
  EXPECT_EQ(value("SELECT group_concat(id || typeof(key) || quote(key) || typeof(size) || size || "
                  "typeof(modified) || "
                  "length(modified) || (modified > '2020-01-01 00:00:00') || typeof(data) || quote(data)) "
                  "FROM jfs_blob"),
            "1blobX'61'integer2text191blobX'3637'");
}

TEST_F(SqliteStoreTest, ReadsWhatJuiceFsHasStored) {
  auto db = *pool_.lease();
  auto insert = *Statement::prepare(
      db.get(),
      "INSERT INTO jfs_blob(key, size, modified, data) VALUES(X'62', 5, '2026-11-27 12:44:30', "
      "X'3132333435'), (X'65', 0, '2026-11-27 12:44:30', NULL)");
  ASSERT_TRUE(insert.run());
  EXPECT_EQ(*store_->get_all("b", 10, {}), "12345");
  EXPECT_EQ(*store_->get_all("e", 10, {}), "");
  EXPECT_EQ(store_->head("b")->mtime.sec, 1795783470);
  EXPECT_EQ(keys_of(*store_->list("", "", 10)), (std::vector<std::string>{"b", "e"}));
}

TEST_F(SqliteStoreTest, AMissingDatabaseIsNotMadeAnew) {
  auto none = *open_store({"sqlite3", dir_.path() + "/none.db"});
  EXPECT_EQ(code_of(none->check_bucket()), ENOENT);
  EXPECT_EQ(code_of(none->put("k", chain({"v"}), {})), EIO);
  EXPECT_EQ(code_of(none->get_all("k", 1, {})), EIO);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/none.db"));
  EXPECT_EQ(code_of(open_store({"sqlite3", "relative.db"})), EINVAL);
  EXPECT_EQ(code_of(open_store({"sqlite3", "/folder/"})), EINVAL);
}

TEST_F(SqliteStoreTest, AFileThatIsNoDatabaseIsNamed) {
  const std::string path = dir_.path() + "/text";
  std::filesystem::copy_file("/proc/self/exe", path);
  auto store = *open_store({"sqlite3", path});
  EXPECT_EQ(code_of(store->check_bucket()), EINVAL);
}

}  // namespace
}  // namespace cider::object
