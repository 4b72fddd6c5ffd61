#include "chunk/cache/block_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/direct_io.h"
#include "base/file_io.h"
#include "chunk/cache/file_io.h"

namespace cider::chunk {
std::string checksum_trailer(const BufferChain& data) {
  ByteWriter out;
  uint32_t crc = 0;
  uint32_t in_unit = 0;
  for (const Buffer& piece : data) {
    std::span<const std::byte> rest = piece.bytes();
    while (!rest.empty()) {
      const size_t n = std::min<size_t>(rest.size(), kChecksumUnit - in_unit);
      crc = crc32c(crc, rest.first(n));
      rest = rest.subspan(n);
      in_unit += static_cast<uint32_t>(n);
      if (in_unit < kChecksumUnit) continue;
      out.u32(crc);
      crc = in_unit = 0;
    }
  }
  if (in_unit > 0) out.u32(crc);
  return out.take();
}

Result<UniqueFd> write_block_file(const char* path, const BufferChain& data, const BlockWrite& how) {
  UniqueFd fd(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, how.mode));
  if (!fd) return fail_errno("open");
  if (::fchmod(fd.get(), how.mode) != 0) return fail_errno("chmod");
  constexpr auto kName = "block file";
  TRY(how.past_page_cache ? write_large(fd, data, kName) : write_all(fd, data, kName));
  const std::string sums = how.trailer ? checksum_trailer(data) : "";
  TRY(write_all(fd.get(), std::as_bytes(std::span(sums))));
  if (how.durable && ::fdatasync(fd.get()) != 0) return fail_errno("fdatasync");
  return fd;
}

BlockFile& BlockFile::operator=(BlockFile&& other) noexcept {
  fd_ = std::move(other.fd_);
  bytes_ = other.bytes_;
  has_checksums_ = other.has_checksums_;
  sealed_ = std::exchange(other.sealed_, std::nullopt);
  random_ = other.random_.load();
  for (size_t i = 0; i < verified_.size(); i++) verified_[i] = other.verified_[i].load();
  return *this;
}

Result<BlockFile> BlockFile::open(const char* path, uint32_t bytes) {
  BlockFile file;
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? fail(ENOENT) : fail_errno("open");
  file.fd_ = std::move(fd);
  struct stat about{};
  if (::fstat(file.fd_.get(), &about) != 0) return fail_errno("stat");
  const int64_t extra = about.st_size - int64_t{bytes};
  const int64_t trailer = int64_t{checksum_units(bytes)} * 4;
  // A footer makes what follows the data a multiple of four if and only if there are checksums.
  file.has_checksums_ = extra > 0 && extra % 4 == 0;
  if (extra < 0 || (file.has_checksums_ && extra < trailer)) {
    return fail(EBADMSG, "a block of " + std::to_string(bytes) + " bytes has a file of " +
                             std::to_string(about.st_size));
  }
  file.bytes_ = bytes;
  return file;
}

Result<BlockFile> BlockFile::open_sealed(const char* path, uint32_t bytes, const AeadKey& folder,
                                         std::string_view name) {
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? fail(ENOENT) : fail_errno("open");
  BlockFile file;
  file.fd_ = std::move(fd);
  file.sealed_ = TRY(SealedFile::open(file.fd_.get(), bytes, folder, name));
  file.bytes_ = bytes;
  return file;
}

BlockFile::Units BlockFile::to_verify(uint32_t off, uint32_t size, Verify verify) const {
  const uint32_t end = off + size;
  if (!has_checksums_ || size == 0) return {};
  switch (verify) {
    case Verify::none:
      return {};
    case Verify::full:
      return size == bytes_ ? Units{0, checksum_units(bytes_)} : Units{};
    case Verify::shrink: {
      Units units{checksum_units(off), end == bytes_ ? checksum_units(end) : end / kChecksumUnit};
      return units.begin < units.end ? units : Units{};
    }
    case Verify::extend:
      return {off / kChecksumUnit, checksum_units(end)};
  }
  return {};
}

bool BlockFile::verified(Units units) const {
  for (uint32_t i = units.begin; i < units.end; i++) {
    if (!(verified_[i / 64].load(std::memory_order_relaxed) >> i % 64 & 1)) return false;
  }
  return true;
}

Status BlockFile::read(uint32_t off, std::span<std::byte> out, Verify verify) {
  if (uint64_t{off} + out.size() > bytes_) return fail(EINVAL, "beyond the block");
  const Units units = to_verify(off, static_cast<uint32_t>(out.size()), verify);
  advise(static_cast<uint32_t>(out.size()));
  if (sealed_) return sealed_->read(off, out);
  if (verified(units)) return pread_all(fd_.get(), out, off);
  return read_verified(off, out, units);
}

// Small reads jump about, and what the kernel would read ahead for them is in nobody's way but the disk's.
void BlockFile::advise(uint32_t size) {
  constexpr uint32_t kSmall = 64 << 10;
  const bool small = size < kSmall && size < bytes_;
  if (random_.load(std::memory_order_relaxed) == small) return;
  random_.store(small, std::memory_order_relaxed);
  ::posix_fadvise(fd_.get(), 0, 0, small ? POSIX_FADV_RANDOM : POSIX_FADV_NORMAL);
}

// Units that stick out at either end are read into pads beside the caller's memory, by the same call.
Status BlockFile::read_verified(uint32_t off, std::span<std::byte> out, Units units) {
  std::array<std::byte, kChecksumUnit> head;
  std::array<std::byte, kChecksumUnit> tail;
  const uint32_t end = off + static_cast<uint32_t>(out.size());
  const uint32_t begin = std::min(off, units.begin * kChecksumUnit);
  const uint32_t last = std::max(end, std::min(bytes_, units.end * kChecksumUnit));
  iovec vector[] = {{head.data(), off - begin}, {out.data(), out.size()}, {tail.data(), last - end}};
  TRY(preadv_all(fd_.get(), vector, begin));
  const std::span<const std::byte> pieces[] = {std::span(head).first(off - begin), out,
                                               std::span(tail).first(last - end)};
  return compare(units, begin, pieces);
}

// `pieces` hold what the block has from `begin` on.
Status BlockFile::compare(Units units, uint32_t begin, std::span<const std::span<const std::byte>> pieces) {
  std::array<std::byte, 512 * 4> sums;  // of 16 MiB
  const std::span<std::byte> stored = std::span(sums).first(size_t{units.end - units.begin} * 4);
  TRY(pread_all(fd_.get(), stored, uint64_t{bytes_} + uint64_t{units.begin} * 4));
  ByteReader expected({reinterpret_cast<const char*>(stored.data()), stored.size()});
  for (uint32_t unit = units.begin; unit < units.end; unit++) {
    const uint32_t from = unit * kChecksumUnit;
    const uint32_t to = std::min(bytes_, from + kChecksumUnit);
    uint32_t crc = 0;
    uint32_t at = begin;
    for (const std::span<const std::byte>& piece : pieces) {
      const uint32_t piece_end = at + static_cast<uint32_t>(piece.size());
      const uint32_t a = std::max(at, from);
      const uint32_t b = std::min(piece_end, to);
      if (a < b) crc = crc32c(crc, piece.subspan(a - at, b - a));
      at = piece_end;
    }
    if (crc != expected.u32()) return fail(EBADMSG, "wrong checksum");
    verified_[unit / 64].fetch_or(uint64_t{1} << unit % 64, std::memory_order_relaxed);
  }
  return {};
}

}  // namespace cider::chunk
