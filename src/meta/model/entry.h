// A directory entry: what a name points to. Record in Redis and ordered-KV engines: type u8, inode u64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/model/attr.h"

namespace cider::meta {

inline constexpr size_t kMaxName = 255;      // bytes
inline constexpr size_t kMaxSymlink = 4096;  // bytes of a target
inline constexpr size_t kMaxXattrName = 255;
inline constexpr size_t kMaxXattrValue = 65536;

struct Entry {
  Ino ino = 0;
  FileType type = FileType::file;
  bool operator==(const Entry&) const = default;
};

std::string encode_entry(const Entry& entry);
Result<Entry> decode_entry(std::string_view record);

// ENOENT for "", ENAMETOOLONG above 255 bytes, EINVAL for ".", ".." and names with '/' or NUL.
Status check_name(std::string_view name);

// The name of a trashed entry in its hour folder: `<parent>-<inode>-<name>`, cut to 255 bytes.
std::string trash_entry_name(Ino parent, Ino ino, std::string_view name);
// The name of the hour folder for a time, UTC: "2026-11-22-17"; and back. nullopt if it isn't one.
std::string trash_folder_name(Time now);
bool parse_trash_folder_name(std::string_view name, Time* hour);

}  // namespace cider::meta
