// Encryption of files on local disks (the block cache, staged blocks), in units of 32 KiB that are sealed one
// by one, so that any range is read and checked without the rest. A format of this program:
//
//   "CiderSU1" | salt, 24 | unit 0 | unit 1 | ...        unit: ciphertext of 32 KiB (the last: 1 byte to 32
//   KiB) | tag, 16
//
// Each file has a key of its own, HKDF-SHA256(key of the folder, salt, name), and unit n the nonce n: as a
// file is written once, no nonce comes twice. The name (of a block: its key, which holds its length) goes
// into the key, so that no file passes for another, and the number of the unit into the nonce, so that no
// unit does. A file cut off at a unit's border is told by the length, which whoever opens it knows.
//
// Where the key of the folder comes from decides what survives: AeadKey::random() makes files that are lost
// with the process, which suits a cache that need not outlive it; object::RsaKey::derive() gives every client
// that can decrypt the volume the same key, which also suits staged blocks: after a crash the next mount on
// the folder opens them. It needs no secret on the disk.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/aead.h"
#include "base/result.h"

namespace cider {

inline constexpr size_t kSealedUnit = 32 << 10;
inline constexpr size_t kSealedUnitStored = kSealedUnit + kAeadTag;
inline constexpr size_t kSealedHeader = 32;

// What `plain` bytes take in a file.
constexpr size_t sealed_file_size(size_t plain) {
  return kSealedHeader + plain + (plain + kSealedUnit - 1) / kSealedUnit * kAeadTag;
}
// Where unit `n` begins in the file.
constexpr size_t sealed_unit_offset(size_t n) {
  return kSealedHeader + n * kSealedUnitStored;
}

// One file. Thread-safe.
class SealedUnits {
 public:
  // For a new file; fills `header`, which is to be written in front.
  static Result<SealedUnits> create(const AeadKey& folder, std::string_view name,
                                    std::span<std::byte, kSealedHeader> header);
  // For a file that is there. EBADMSG if this is no header.
  static Result<SealedUnits> open(const AeadKey& folder, std::string_view name,
                                  std::span<const std::byte, kSealedHeader> header);

  // Seals unit `n`: up to 32 KiB in pieces, to `out`, which is longer by the tag.
  Status seal(uint32_t n, std::span<const std::span<const std::byte>> plain, std::span<std::byte> out) const;
  // Opens it to `out`, which is shorter by the tag and may begin where `sealed` does. EBADMSG if a bit
  // differs, or it is another unit or of another file.
  Status open_unit(uint32_t n, std::span<const std::byte> sealed, std::span<std::byte> out) const;
  // Likewise, with the tag apart from the ciphertext.
  Status open_unit(uint32_t n, std::span<const std::byte> ciphertext,
                   std::span<const std::byte, kAeadTag> tag, std::span<std::byte> out) const;

 private:
  explicit SealedUnits(AeadKey key) : key_(std::move(key)) {}
  static Result<SealedUnits> with_salt(const AeadKey& folder, std::string_view name,
                                       std::span<const std::byte> salt);

  AeadKey key_;
};

}  // namespace cider
