#include "base/file_io.h"

#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>

namespace cider {

Result<std::string> read_file(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno == 0) errno = EIO;
    return fail_errno(path);
  }
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Status write_all(int fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write");
    data = data.subspan(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace cider
