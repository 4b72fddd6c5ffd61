#include "object/file_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "object/file_util.h"

namespace cider::object {
namespace {

constexpr int kMaxDepth = 64;  // a link that leads up again ends here

bool is_temporary(std::string_view name) {
  return name.starts_with(".jfs.") && name.find(".tmp.") != name.npos;
}

class Walk {
 public:
  Walk(const std::string& root, std::string_view prefix, std::string_view after, size_t limit)
      : root_(root), prefix_(prefix), after_(after), limit_(limit) {}

  // Visits the directory whose keys begin with `folder` ("" or ending in '/').
  Status visit(const std::string& folder, int depth);
  std::vector<ObjectInfo> take() { return std::move(found_); }

 private:
  struct Entry {
    std::string
        name;  // with '/' at the end for a directory, which makes names sort as the keys below them do
    struct stat st;
  };

  bool full() const { return found_.size() >= limit_; }
  // Whether a key that begins with `folder` may be wanted.
  bool wanted_below(std::string_view folder) const {
    if (!folder.starts_with(prefix_) && !prefix_.starts_with(folder)) return false;
    return folder > after_ || after_.starts_with(folder);
  }
  Result<std::vector<std::string>> names(const std::string& folder);

  const std::string& root_;
  const std::string_view prefix_;
  const std::string_view after_;
  const size_t limit_;
  std::vector<ObjectInfo> found_;
};

Result<std::vector<std::string>> Walk::names(const std::string& folder) {
  const std::string path = root_ + folder;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), &::closedir);
  std::vector<std::string> names;
  if (!dir) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
      return names;  // gone meanwhile, or nothing there yet
    return fail_errno("list " + path);
  }
  for (errno = 0; dirent* entry = ::readdir(dir.get()); errno = 0) {
    std::string name = entry->d_name;
    if (name == "." || name == ".." || is_temporary(name)) continue;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN || type == DT_LNK) {
      struct stat st;
      if (::fstatat(::dirfd(dir.get()), name.c_str(), &st, 0) != 0) continue;
      type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
    }
    if (type == DT_DIR) name += '/';
    if (type == DT_DIR || type == DT_REG) names.push_back(std::move(name));
  }
  if (errno != 0) return fail_errno("list " + path);
  std::sort(names.begin(), names.end());
  return names;
}

Status Walk::visit(const std::string& folder, int depth) {
  if (depth > kMaxDepth) return {};
  for (const std::string& name : TRY(names(folder))) {
    if (full()) return {};
    std::string key = folder + name;
    if (name.ends_with('/')) {
      if (wanted_below(key)) TRY(visit(key, depth + 1));
      continue;
    }
    if (key <= after_ || !key.starts_with(prefix_)) continue;
    struct stat st;
    if (::stat((root_ + key).c_str(), &st) != 0) continue;
    found_.push_back({std::move(key), static_cast<uint64_t>(st.st_size), mtime_of(st)});
  }
  return {};
}

}  // namespace

Result<std::vector<ObjectInfo>> list_files(const std::string& root, std::string_view prefix,
                                           std::string_view after, size_t limit) {
  Walk walk(root, prefix, after, limit);
  size_t slash = prefix.rfind('/');
  std::string start(slash == prefix.npos ? "" : prefix.substr(0, slash + 1));
  // A prefix with ".." would leave the bucket; no key has one.
  if (("/" + start).find("/../") != std::string::npos || start.starts_with('/'))
    return std::vector<ObjectInfo>();
  TRY(walk.visit(start, 0));
  return walk.take();
}

}  // namespace cider::object
