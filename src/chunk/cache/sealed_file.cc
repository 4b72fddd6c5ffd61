#include "chunk/cache/sealed_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/file_io.h"
#include "chunk/cache/file_io.h"

namespace cider::chunk {
namespace {

constexpr uint32_t kUnit = kSealedUnit;
constexpr uint32_t kUnitsAtOnce = 128;  // preadv takes 1024 pieces, and a unit has two

// A chain, cut into units.
class Cutter {
 public:
  explicit Cutter(const BufferChain& data) : next_(data.begin()), end_(data.end()) {}

  // The pieces of the next unit; false at the end.
  bool cut() {
    pieces_.clear();
    size_ = 0;
    while (next_ != end_ && size_ < kUnit) {
      const auto rest = next_->bytes().subspan(used_);
      const auto piece = rest.first(std::min(rest.size(), kUnit - size_));
      if (!piece.empty()) pieces_.push_back(piece);
      size_ += piece.size();
      used_ += piece.size();
      if (piece.size() < rest.size()) break;
      next_++;
      used_ = 0;
    }
    return size_ > 0;
  }
  size_t size() const { return size_; }
  std::span<const std::span<const std::byte>> pieces() const { return pieces_; }

 private:
  BufferChain::const_iterator next_;
  const BufferChain::const_iterator end_;
  size_t used_ = 0;  // of the piece at next_
  size_t size_ = 0;
  std::vector<std::span<const std::byte>> pieces_;
};

}  // namespace

Result<UniqueFd> write_sealed_file(const char* path, const BufferChain& data, const AeadKey& folder,
                                   std::string_view name, const BlockWrite& how) {
  UniqueFd fd(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, how.mode));
  if (!fd) return fail_errno("open");
  if (::fchmod(fd.get(), how.mode) != 0) return fail_errno("chmod");
  // The header goes out with the first unit.
  std::array<std::byte, kSealedHeader + kSealedUnitStored> memory;
  const std::span room(memory);
  const SealedUnits units = TRY(SealedUnits::create(folder, name, room.first<kSealedHeader>()));
  Cutter cutter(data);
  for (uint32_t n = 0; cutter.cut(); n++) {
    const std::span sealed = room.subspan(kSealedHeader, cutter.size() + kAeadTag);
    TRY(units.seal(n, cutter.pieces(), sealed));
    TRY(write_all(fd.get(), n == 0 ? room.first(kSealedHeader + sealed.size()) : sealed));
  }
  if (how.durable && ::fdatasync(fd.get()) != 0) return fail_errno("fdatasync");
  return fd;
}

Result<SealedFile> SealedFile::open(int fd, uint32_t bytes, const AeadKey& folder, std::string_view name) {
  struct stat about{};
  if (::fstat(fd, &about) != 0) return fail_errno("stat");
  if (static_cast<uint64_t>(about.st_size) != sealed_file_size(bytes)) {
    return fail(EBADMSG, "an encrypted block of " + std::to_string(bytes) + " bytes has a file of " +
                             std::to_string(about.st_size));
  }
  std::array<std::byte, kSealedHeader> header;
  TRY(pread_all(fd, header, 0));
  return SealedFile(fd, bytes, TRY(SealedUnits::open(folder, name, header)));
}

Status SealedFile::read(uint32_t off, std::span<std::byte> out) const {
  while (!out.empty()) {
    const auto part = out.first(std::min<size_t>(out.size(), kUnitsAtOnce * kUnit - off % kUnit));
    TRY(read_units(off, part));
    out = out.subspan(part.size());
    off += static_cast<uint32_t>(part.size());
  }
  return {};
}

// Ciphertext is read to where its plain bytes shall be, and tags to a place of their own.
Status SealedFile::read_units(uint32_t off, std::span<std::byte> out) const {
  const uint32_t end = off + static_cast<uint32_t>(out.size());
  const uint32_t first = off / kUnit;
  const uint32_t last = (end - 1) / kUnit;
  std::array<std::byte, kUnit> head;
  std::array<std::byte, kUnit> tail;
  std::array<std::array<std::byte, kAeadTag>, kUnitsAtOnce> tags;
  std::array<iovec, 2 * kUnitsAtOnce> vector;
  const auto end_of = [&](uint32_t unit) { return std::min(bytes_, (unit + 1) * kUnit); };
  const auto is_whole = [&](uint32_t unit) { return unit * kUnit >= off && end_of(unit) <= end; };
  const auto memory_of = [&](uint32_t unit) -> std::span<std::byte> {
    const size_t size = end_of(unit) - unit * kUnit;
    if (is_whole(unit)) return out.subspan(unit * kUnit - off, size);
    return std::span(unit == first ? head : tail).first(size);
  };

  size_t pieces = 0;
  for (uint32_t unit = first; unit <= last; unit++) {
    const std::span<std::byte> memory = memory_of(unit);
    vector[pieces++] = {memory.data(), memory.size()};
    vector[pieces++] = {tags[unit - first].data(), kAeadTag};
  }
  TRY(preadv_all(fd_, std::span(vector).first(pieces), sealed_unit_offset(first)));
  for (uint32_t unit = first; unit <= last; unit++) {
    const std::span<std::byte> memory = memory_of(unit);
    TRY(units_.open_unit(unit, memory, tags[unit - first], memory));
    if (is_whole(unit)) continue;
    const uint32_t from = std::max(off, unit * kUnit);
    std::memcpy(&out[from - off], &memory[from - unit * kUnit], std::min(end, end_of(unit)) - from);
  }
  return {};
}

}  // namespace cider::chunk
