#include "chunk/cache/file_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cider::chunk {

Status pread_all(int fd, std::span<std::byte> out, uint64_t off) {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd, out.data(), out.size(), static_cast<off_t>(off));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read");
    if (n == 0) return fail(EBADMSG, "the file is too short");
    out = out.subspan(static_cast<size_t>(n));
    off += static_cast<uint64_t>(n);
  }
  return {};
}

Status preadv_all(int fd, std::span<iovec> vector, uint64_t off) {
  while (!vector.empty()) {
    if (vector.front().iov_len == 0) {
      vector = vector.subspan(1);
      continue;
    }
    ssize_t n = ::preadv(fd, vector.data(), static_cast<int>(vector.size()), static_cast<off_t>(off));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read");
    if (n == 0) return fail(EBADMSG, "the file is too short");
    off += static_cast<uint64_t>(n);
    for (iovec& piece : vector) {
      const size_t part = std::min(static_cast<size_t>(n), piece.iov_len);
      piece.iov_base = static_cast<std::byte*>(piece.iov_base) + part;
      piece.iov_len -= part;
      n -= static_cast<ssize_t>(part);
    }
  }
  return {};
}

}  // namespace cider::chunk
