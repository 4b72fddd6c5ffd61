#include "object/file_util.h"

#include <fcntl.h>

#include <algorithm>

namespace cider::object {

std::string parent_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status make_directories(const std::string& path, size_t existing) {
  for (size_t slash = path.find('/', std::max<size_t>(existing, 1));; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) return fail_errno("make directory " + part);
    if (slash == path.npos) return {};
  }
}

Status sync_directory(const std::string& path) {
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno("open " + path);
  if (::fsync(directory.get()) != 0) return fail_errno("sync " + path);
  return {};
}

}  // namespace cider::object
