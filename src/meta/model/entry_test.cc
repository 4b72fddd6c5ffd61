#include "meta/model/entry.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "meta/testing/redis_fixture.h"

namespace cider::meta {
namespace {

TEST(Entry, RecordIsTypeAndInode) {
  Entry entry{.ino = 0x0102030405060708, .type = FileType::symlink};
  EXPECT_EQ(to_hex(encode_entry(entry)), "030102030405060708");
  EXPECT_EQ(decode_entry(encode_entry(entry)).value(), entry);
}

TEST(Entry, DamagedRecordsAreErrors) {
  std::string record = encode_entry({.ino = 5});
  EXPECT_EQ(code_of(decode_entry("")), EIO);
  EXPECT_EQ(code_of(decode_entry(record.substr(0, 8))), EIO);
  EXPECT_EQ(code_of(decode_entry(record + "x")), EIO);
  record[0] = 8;
  EXPECT_EQ(code_of(decode_entry(record)), EIO);
}

TEST(Entry, Names) {
  EXPECT_EQ(code_of(check_name("")), ENOENT);
  EXPECT_EQ(code_of(check_name(".")), EINVAL);
  EXPECT_EQ(code_of(check_name("..")), EINVAL);
  EXPECT_EQ(code_of(check_name("a/b")), EINVAL);
  EXPECT_EQ(code_of(check_name(std::string_view("a\0b", 3))), EINVAL);
  EXPECT_EQ(code_of(check_name(std::string(256, 'x'))), ENAMETOOLONG);
  EXPECT_EQ(code_of(check_name(std::string(255, 'x'))), 0);
  EXPECT_EQ(code_of(check_name("...")), 0);
  EXPECT_EQ(code_of(check_name("\xff\xfe \n")), 0);
}

TEST(Entry, TrashEntryNameIsCutAt255Bytes) {
  EXPECT_EQ(trash_entry_name(1, 23, "file"), "1-23-file");
  std::string name = trash_entry_name(1, 23, std::string(255, 'n'));
  EXPECT_EQ(name.size(), 255u);
  EXPECT_EQ(name, "1-23-" + std::string(250, 'n'));
}

TEST(Entry, TrashFolderNames) {
  EXPECT_EQ(trash_folder_name({1795362392, 5}), "2026-11-22-15");
  EXPECT_EQ(trash_folder_name({0, 0}), "1970-01-01-00");
  EXPECT_EQ(trash_folder_name({-1, 999999999}), "1969-12-31-23");
  for (int64_t sec : {0L, 951782400L, 1795359600L, 4107538800L}) {
    Time hour;
    ASSERT_TRUE(parse_trash_folder_name(trash_folder_name({sec + 3599, 7}), &hour));
    EXPECT_EQ(hour, (Time{sec, 0}));
  }
}

TEST(Entry, WhatIsNoTrashFolderName) {
  Time hour;
  for (const char* name :
       {"", "2026-11-22", "2026-11-22-24", "2026-13-01-00", "2026-02-29-00", "2026-00-10-00", "2026-11-22-1x",
        "2026/11/22-10", "2026-11-22-100", "+026-11-22-10"}) {
    EXPECT_FALSE(parse_trash_folder_name(name, &hour)) << name;
  }
}

TEST(EntryFixture, EveryDentryComesBackByteForByte) {
  CIDER_FIXTURE(dir, "main-redis");
  auto fixture = testing::load_redis_fixture(dir);
  int count = 0;
  for (const auto& [key, fields] : fixture.hashes) {
    if (key[0] != 'd' || !isdigit(key[1])) continue;
    for (const auto& [name, value] : fields) {
      Entry entry = decode_entry(value).value();
      EXPECT_EQ(encode_entry(entry), value);
      EXPECT_TRUE(check_name(name)) << name;
      if (key == "d" + std::to_string(kTrashIno)) {
        Time hour;
        EXPECT_TRUE(parse_trash_folder_name(name, &hour)) << name;
        EXPECT_EQ(trash_folder_name(hour), name);
      }
      count++;
    }
  }
  EXPECT_GT(count, 190);
}

}  // namespace
}  // namespace cider::meta
