#include "object/folder_walk.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>

namespace cider::object {
namespace {

constexpr int kMaxDepth = 64;  // a link that leads up again ends here
constexpr size_t kMaxNameInTemp = 200;

class Walk {
 public:
  Walk(const ListFolder& list_folder, std::string_view prefix, std::string_view after, size_t limit)
      : list_folder_(list_folder), prefix_(prefix), after_(after), limit_(limit) {}

  Status visit(const std::string& folder, int depth) {
    std::vector<FolderEntry> entries = TRY(list_folder_(folder));
    // A folder's slash makes names sort as the keys below them do.
    for (FolderEntry& entry : entries) {
      if (entry.is_folder) entry.name += '/';
    }
    std::ranges::sort(entries, {}, &FolderEntry::name);
    for (FolderEntry& entry : entries) {
      if (found_.size() >= limit_) break;
      if (is_temporary_name(entry.name)) continue;
      std::string key = folder + entry.name;
      if (entry.is_folder) {
        if (depth < kMaxDepth && wanted_below(key)) TRY(visit(key, depth + 1));
      } else if (key > after_ && key.starts_with(prefix_)) {
        found_.push_back({std::move(key), entry.size, entry.mtime});
      }
    }
    return {};
  }
  std::vector<ObjectInfo> take() { return std::move(found_); }

 private:
  bool wanted_below(std::string_view folder) const {
    if (!folder.starts_with(prefix_) && !prefix_.starts_with(folder)) return false;
    return folder > after_ || after_.starts_with(folder);
  }

  const ListFolder& list_folder_;
  const std::string_view prefix_;
  const std::string_view after_;
  const size_t limit_;
  std::vector<ObjectInfo> found_;
};

}  // namespace

Result<std::vector<ObjectInfo>> walk_folders(const ListFolder& list_folder, std::string_view prefix,
                                             std::string_view after, size_t limit) {
  if (limit == 0) return std::vector<ObjectInfo>();
  Walk walk(list_folder, prefix, after, limit);
  const size_t slash = prefix.rfind('/');
  TRY(walk.visit(std::string(prefix.substr(0, slash == prefix.npos ? 0 : slash + 1)), 0));
  return walk.take();
}

std::string temporary_name(const std::string& path) {
  static std::atomic<uint64_t> next{std::random_device{}()};
  const size_t slash = path.rfind('/');
  const size_t name = slash == path.npos ? 0 : slash + 1;
  return path.substr(0, name) + ".jfs." + path.substr(name, kMaxNameInTemp) + ".tmp." +
         std::to_string(::getpid()) + "." + std::to_string(next.fetch_add(1));
}

bool is_temporary_name(std::string_view name) {
  return name.starts_with(".jfs.") && name.find(".tmp.") != name.npos;
}

}  // namespace cider::object
