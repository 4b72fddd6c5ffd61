// A block's file in `sealed/` or `sealedstaging/`: encrypted with the key of the folder, in units of 32 KiB
// that are read and checked one by one.
// Format: base/sealed_units.h; the name that goes into a file's key is the key of the block's object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "base/buffer.h"
#include "base/result.h"
#include "base/sealed_units.h"
#include "base/unique_fd.h"
#include "chunk/cache/block_write.h"

namespace cider::chunk {

// As write_block_file().
Result<UniqueFd> write_sealed_file(const char* path, const BufferChain& data, const AeadKey& folder,
                                   std::string_view name, const BlockWrite& how);

// A file that is open in somebody else's descriptor. Thread-safe.
class SealedFile {
 public:
  // EBADMSG if its length or its first bytes are not those of a block of `bytes`.
  static Result<SealedFile> open(int fd, uint32_t bytes, const AeadKey& folder, std::string_view name);

  // Reads [off, off+out.size()), which lies in the block: one preadv for each 4 MiB, of the units touched.
  // They are decrypted where they are to be; only those that stick out at either end go through a pad.
  // EBADMSG if a bit of these units differs; what is in `out` then is of no use.
  Status read(uint32_t off, std::span<std::byte> out) const;

 private:
  SealedFile(int fd, uint32_t bytes, SealedUnits units) : fd_(fd), bytes_(bytes), units_(std::move(units)) {}
  Status read_units(uint32_t off, std::span<std::byte> out) const;

  int fd_;
  uint32_t bytes_;
  SealedUnits units_;
};

}  // namespace cider::chunk
