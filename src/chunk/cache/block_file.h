// A block's file in `raw/` or `rawstaging/`: the plain bytes, then one CRC32C (big-endian) for each 32 KiB of
// them, or nothing. Encrypted blocks, which lie elsewhere, are read by the same class.
// Format: JuiceFS 1.4 pkg/chunk/disk_cache.go; a staged block of another tier has a footer behind, which is
// passed over.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "chunk/cache/block_write.h"
#include "chunk/cache/sealed_file.h"

namespace cider::chunk {

// How far the checksums of the file are compared when it is read (--verify-cache-checksum).
enum class Verify {
  none,    // there are none, and what is there is not looked at
  full,    // when the whole block is read
  shrink,  // those of the units of 32 KiB that the read covers
  extend,  // those of all units that the read touches
};

constexpr uint32_t kChecksumUnit = 32 << 10;
constexpr uint32_t checksum_units(uint32_t bytes) {
  return (bytes + kChecksumUnit - 1) / kChecksumUnit;
}

std::string checksum_trailer(const BufferChain& data);

// Writes data and trailer to a new file; EEXIST if it is there. Answers the open file.
Result<UniqueFd> write_block_file(const char* path, const BufferChain& data, const BlockWrite& how);

// An open block file. read() is thread-safe.
class BlockFile {
 public:
  // ENOENT where there is none; EBADMSG if its length is not that of a block of `bytes`.
  static Result<BlockFile> open(const char* path, uint32_t bytes);
  // Likewise, an encrypted one; see SealedFile. read() always checks it.
  static Result<BlockFile> open_sealed(const char* path, uint32_t bytes, const AeadKey& folder,
                                       std::string_view name);

  BlockFile() = default;
  BlockFile(BlockFile&& other) noexcept { *this = std::move(other); }
  BlockFile& operator=(BlockFile&& other) noexcept;

  // One pread of [off, off+out.size()) and, while checksums are to be compared, of their units and the
  // checksums. A unit that was right once is not compared again. EBADMSG if a checksum differs. Allocates
  // nothing.
  Status read(uint32_t off, std::span<std::byte> out, Verify verify);

  bool has_checksums() const { return has_checksums_; }
  int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }

 private:
  struct Units {
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  Units to_verify(uint32_t off, uint32_t size, Verify verify) const;
  bool verified(Units units) const;
  Status read_verified(uint32_t off, std::span<std::byte> out, Units units);
  Status compare(Units units, uint32_t begin, std::span<const std::span<const std::byte>> pieces);
  void advise(uint32_t size);

  UniqueFd fd_;
  uint32_t bytes_ = 0;
  bool has_checksums_ = false;
  std::optional<SealedFile> sealed_;
  std::atomic<bool> random_{false};                  // the kernel was told not to read ahead
  std::array<std::atomic<uint64_t>, 8> verified_{};  // a bit for each unit
};

}  // namespace cider::chunk
