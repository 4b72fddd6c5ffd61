#include "object/file_util.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>

#include <algorithm>
#include <vector>

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

Status write_all(const UniqueFd& file, const BufferChain& data, const std::string& path) {
  std::vector<iovec> pieces;
  pieces.reserve(data.size());
  for (const Buffer& piece : data) {
    if (!piece.empty()) pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  }
  size_t next = 0;
  while (next < pieces.size()) {
    int count = static_cast<int>(std::min<size_t>(pieces.size() - next, IOV_MAX));
    ssize_t n = ::writev(file.get(), &pieces[next], count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write " + path);
    auto done = static_cast<size_t>(n);
    while (next < pieces.size() && done >= pieces[next].iov_len) done -= pieces[next++].iov_len;
    if (done > 0) {
      pieces[next].iov_base = static_cast<std::byte*>(pieces[next].iov_base) + done;
      pieces[next].iov_len -= done;
    }
  }
  return {};
}

}  // namespace cider::object
