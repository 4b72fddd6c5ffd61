#include "chunk/cache/file_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

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

namespace {

// Passes over `done` bytes, and over pieces that are empty.
std::span<iovec> after(std::span<iovec> vector, size_t done) {
  while (!vector.empty() && done >= vector.front().iov_len) {
    done -= vector.front().iov_len;
    vector = vector.subspan(1);
  }
  if (done > 0) {
    vector.front().iov_base = static_cast<std::byte*>(vector.front().iov_base) + done;
    vector.front().iov_len -= done;
  }
  return vector;
}

}  // namespace

Status preadv_all(int fd, std::span<iovec> vector, uint64_t off) {
  vector = after(vector, 0);
  while (!vector.empty()) {
    const ssize_t n = ::preadv(fd, vector.data(), static_cast<int>(vector.size()), static_cast<off_t>(off));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read");
    if (n == 0) return fail(EBADMSG, "the file is too short");
    off += static_cast<uint64_t>(n);
    vector = after(vector, static_cast<size_t>(n));
  }
  return {};
}

Status pwritev_all(int fd, std::span<iovec> vector, uint64_t off) {
  vector = after(vector, 0);
  while (!vector.empty()) {
    const int count = static_cast<int>(std::min<size_t>(vector.size(), IOV_MAX));
    const ssize_t n = ::pwritev(fd, vector.data(), count, static_cast<off_t>(off));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write");
    off += static_cast<uint64_t>(n);
    vector = after(vector, static_cast<size_t>(n));
  }
  return {};
}

}  // namespace cider::chunk
