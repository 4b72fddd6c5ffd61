// What a mount of JuiceFS showed of a fixture (expected.json), compared with what a store reads of it. For
// tests only.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "meta/testing/store_calls.h"

namespace cider::meta::testing {

inline FileType type_of(const std::string& name) {
  static const std::map<std::string, FileType> kTypes = {
      {"file", FileType::file},    {"dir", FileType::directory},         {"symlink", FileType::symlink},
      {"fifo", FileType::fifo},    {"blockdev", FileType::block_device}, {"chardev", FileType::char_device},
      {"socket", FileType::socket}};
  return kTypes.at(name);
}

inline void expect_attr(const Attr& attr, const nlohmann::json& entry) {
  const auto nanos = [](Time t) { return t.sec * 1'000'000'000 + t.nsec; };
  EXPECT_EQ(attr.type, type_of(entry["type"]));
  EXPECT_EQ(attr.mode, std::stoul(entry["mode"].get<std::string>(), nullptr, 8));
  EXPECT_EQ(attr.uid, entry["uid"].get<uint32_t>());
  EXPECT_EQ(attr.gid, entry["gid"].get<uint32_t>());
  EXPECT_EQ(attr.nlink, entry["nlink"].get<uint32_t>());
  EXPECT_EQ(attr.rdev, entry.value("rdev", 0U));
  // `.trash` itself is shown with the times of the mount and no size; y9999 did not fit into JuiceFS's
  // columns, or the kernel's nanoseconds.
  if (entry["inode"].get<Ino>() == kTrashIno || entry.value("path", "") == "times/y9999") return;
  EXPECT_EQ(attr.length, entry["size"].get<uint64_t>());
  EXPECT_EQ(nanos(attr.atime), entry["atime_ns"].get<int64_t>());
  EXPECT_EQ(nanos(attr.mtime), entry["mtime_ns"].get<int64_t>());
  EXPECT_EQ(nanos(attr.ctime), entry["ctime_ns"].get<int64_t>());
}

enum class EmptyXattrs { compared, passed_over };  // on KV engines JuiceFS can't read an empty one again

inline void expect_inode(Store& store, const nlohmann::json& entry, EmptyXattrs empty) {
  const Ino ino = entry["inode"].get<Ino>();
  const auto attr = ask(store, AttrRead{ino, field::all, {}}).value;
  ASSERT_TRUE(attr);
  expect_attr(*attr, entry);
  if (entry.contains("target")) {
    EXPECT_EQ(ask(store, SymlinkRead{ino, {}}).target, entry["target"].get<std::string>());
  }
  std::map<std::string, std::string> xattrs;
  for (const std::string& name : ask(store, XattrNamesRead{ino, {}}).names) {
    const auto value = ask(store, XattrRead{ino, name, {}}).value;
    ASSERT_TRUE(value) << name;
    xattrs[name] = to_hex(*value);
  }
  std::map<std::string, std::string> wanted;
  if (entry.contains("xattrs_hex")) wanted = entry["xattrs_hex"];
  if (empty == EmptyXattrs::passed_over) {
    const auto is_empty = [](const auto& xattr) { return xattr.second.empty(); };
    std::erase_if(xattrs, is_empty);
    std::erase_if(wanted, is_empty);
  }
  EXPECT_EQ(xattrs, wanted);
}

// Every inode, those in the trash too; how many there are.
inline size_t expect_inodes(Store& store, const nlohmann::json& expected,
                            EmptyXattrs empty = EmptyXattrs::compared) {
  size_t compared = 0;
  for (const char* list : {"entries", "trash_entries"}) {
    for (const auto& entry : expected[list]) {
      SCOPED_TRACE(entry.dump());
      expect_inode(store, entry, empty);
      ++compared;
    }
  }
  return compared;
}

// A walk by small pages finds each path once. Those that are no UTF-8 are counted.
inline void expect_listings(Store& store, const nlohmann::json& expected) {
  std::map<std::string, Ino> wanted;
  for (const auto& entry : expected["entries"]) {
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
      auto page = store.list_dir(ino, &cursor, 3, true);
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
  EXPECT_EQ(not_utf8 + found.size(), expected["entries"].size());
}

}  // namespace cider::meta::testing
