// Listing the file driver's objects in the order of their keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "object/object_store.h"

namespace cider::object {

// The first `limit` objects below `root` (which ends in '/') whose key begins with `prefix` and is greater
// than `after`. Holds the names of one directory per level, not the whole tree. Follows symbolic links; skips
// temporary files of put().
Result<std::vector<ObjectInfo>> list_files(const std::string& root, std::string_view prefix,
                                           std::string_view after, size_t limit);

}  // namespace cider::object
