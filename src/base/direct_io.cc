#include "base/direct_io.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace cider {
namespace {

// What every device takes. Below the sizes the page cache's read-ahead and write-behind are worth more than
// what they cost.
constexpr size_t kDirectUnit = 4096;
constexpr size_t kSmallestWrite = 1 << 20;
constexpr size_t kSmallestRead = 256 << 10;

bool aligned(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % kDirectUnit == 0;
}
size_t aligned_part(size_t size) {
  return size / kDirectUnit * kDirectUnit;
}

// False where the file system knows no direct I/O.
bool set_direct(const UniqueFd& file, bool on) {
  int flags = ::fcntl(file.get(), F_GETFL);
  if (flags < 0) return false;
  return ::fcntl(file.get(), F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

// How many leading bytes of `data` may be written directly: whole units at aligned addresses.
size_t direct_prefix(const BufferChain& data) {
  size_t prefix = 0;
  for (const Buffer& piece : data) {
    if (!aligned(piece.data())) break;
    prefix += aligned_part(piece.size());
    if (piece.size() % kDirectUnit != 0) break;
  }
  return prefix;
}

BufferChain cut(const BufferChain& data, size_t from, size_t to) {
  BufferChain out;
  size_t at = 0;
  for (const Buffer& piece : data) {
    size_t begin = std::max(from, at);
    size_t end = std::min(to, at + piece.size());
    if (begin < end) out.push_back(piece.slice(begin - at, end - begin));
    at += piece.size();
  }
  return out;
}

Result<size_t> read_some(const UniqueFd& file, uint64_t offset, std::span<std::byte> out) {
  while (true) {
    ssize_t n = ::pread(file.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return fail(errno);
  }
}

// Whether the page cache holds the whole range, of whole pages, already. (A read with RWF_NOWAIT does not
// tell: it starts the kernel's read-ahead, and the bytes would come from the disk twice.)
bool cached(const UniqueFd& file, uint64_t offset, size_t size) {
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), static_cast<off_t>(offset));
  if (map == MAP_FAILED) return false;
  std::vector<unsigned char> resident(size / kDirectUnit);
  bool all = ::mincore(map, size, resident.data()) == 0 &&
             std::ranges::all_of(resident, [](unsigned char page) { return (page & 1) != 0; });
  ::munmap(map, size);
  return all;
}

}  // namespace

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

Status write_large(const UniqueFd& file, const BufferChain& data, const std::string& path) {
  size_t prefix = direct_prefix(data);
  if (prefix < kSmallestWrite || !set_direct(file, true)) return write_all(file, data, path);
  Status direct = write_all(file, cut(data, 0, prefix), path);
  set_direct(file, false);
  if (!direct && direct.error().code != EINVAL) return direct;
  off_t written =
      ::lseek(file.get(), 0, SEEK_CUR);  // EINVAL: the device wants more alignment, perhaps half-way
  if (written < 0) return fail_errno("seek in " + path);
  return write_all(file, cut(data, static_cast<size_t>(written), total_size(data)), path);
}

Result<size_t> read_large(const UniqueFd& file, uint64_t offset, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    std::span<std::byte> rest = out.subspan(done);
    std::span<std::byte> whole_pages = rest.first(aligned_part(rest.size()));
    uint64_t at = offset + done;
    bool direct = aligned(rest.data()) && at % kDirectUnit == 0 && rest.size() >= kSmallestRead &&
                  !cached(file, at, whole_pages.size()) && set_direct(file, true);
    auto n = read_some(file, at, direct ? whole_pages : rest);
    if (direct) set_direct(file, false);
    if (direct && !n && n.error().code == EINVAL) n = read_some(file, at, rest);
    if (!n) return fail(std::move(n).error());
    if (*n == 0) break;
    done += *n;
  }
  return done;
}

}  // namespace cider
