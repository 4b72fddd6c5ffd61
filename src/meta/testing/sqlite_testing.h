// For the tests of the store `sqlite`: a database in a folder of its own, and short forms of what tests say
// often. For tests only.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "meta/store/sql/sqlite/sqlite_store.h"
#include "meta/testing/store_calls.h"

namespace cider::meta::sqlite {

using testing::ask;
using testing::write;

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "cider-sqlite-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline Attr directory_attr(uint16_t mode, Ino parent) {
  Attr attr;
  attr.type = FileType::directory;
  attr.mode = mode;
  attr.nlink = 2;
  attr.length = kDirectoryLength;
  attr.parent = parent;
  attr.atime = attr.mtime = attr.ctime = {1'700'000'000, 123'456'789};
  return attr;
}

inline Attr file_attr(Ino parent) {
  Attr attr = directory_attr(0644, parent);
  attr.type = FileType::file;
  attr.nlink = 1;
  attr.length = 0;
  return attr;
}

inline std::unique_ptr<Store> open_store(const std::string& path, bool create = false) {
  SqliteOptions options;
  options.create = create;
  auto store = open_sqlite(path, options);
  if (!store) throw std::runtime_error(store.error().to_string());
  return *std::move(store);
}

// A new volume in a folder that goes with it.
struct TestVolume {
  TempFolder folder;
  std::string path = folder / "meta.db";
  std::unique_ptr<Store> store = open_store(path, true);

  TestVolume() {
    Status made = store->create_volume("{}", directory_attr(0777, kRootIno), directory_attr(0555, kRootIno));
    if (!made) throw std::runtime_error(made.error().to_string());
  }
};

// Rows of a query on the file itself, each as "value:type|value:type".
inline std::vector<std::string> rows(const std::string& path, const std::string& sql) {
  std::vector<std::string> all;
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  int rc;
  while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
    std::string row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      if (i > 0) row += "|";
      const char* types[] = {"", "integer", "real", "text", "blob", "null"};
      int type = sqlite3_column_type(statement, i);
      const char* bytes = static_cast<const char*>(sqlite3_column_blob(statement, i));
      row += std::string(bytes ? bytes : "", static_cast<size_t>(sqlite3_column_bytes(statement, i))) + ":" +
             types[type];
    }
    all.push_back(row);
  }
  EXPECT_EQ(rc, SQLITE_DONE) << sqlite3_errmsg(db);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return all;
}

// Runs statements on the file, as another program would.
inline void alter(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  sqlite3_busy_timeout(db, 10'000);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

}  // namespace cider::meta::sqlite
