// Listing stores that have folders in the order of keys.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "object/object_store.h"

namespace cider::object {

struct FolderEntry {
  std::string name;  // without a slash
  bool is_folder = false;
  uint64_t size = 0;
  Time mtime;
};

// What stands in the folder whose keys begin with `folder` ("" or ending in '/'), in any order; none where it
// is gone.
using ListFolder = std::function<Result<std::vector<FolderEntry>>(const std::string& folder)>;

// The first `limit` objects whose key begins with `prefix` and is greater than `after`. Asks only for folders
// that may hold such; holds the entries of one folder per level, not the whole tree. Temporary files of put()
// (.jfs.*.tmp.*) are left out.
Result<std::vector<ObjectInfo>> walk_folders(const ListFolder& list_folder, std::string_view prefix,
                                             std::string_view after, size_t limit);

// The temporary name beside `path` under which a put() is under way. It has JuiceFS's form, so that either
// client's gc knows it as left over.
std::string temporary_name(const std::string& path);
bool is_temporary_name(std::string_view name);

}  // namespace cider::object
