// CRC-32C (Castagnoli, RFC 3720 appendix B.4): of objects (`Crc32c` metadata) and of blocks in the disk
// cache. Uses the CPU's instructions (ISA-L). Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cider {

// The checksum of what `crc` is the checksum of, followed by `data`; 0 to begin.
uint32_t crc32c(uint32_t crc, std::span<const std::byte> data);

}  // namespace cider
