#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace cider {

uint32_t crc32c(uint32_t crc, std::span<const std::byte> data) {
  constexpr size_t kPiece = size_t{1} << 30;  // the library counts in int
  // ISA-L works on the register; the checksum is its complement.
  while (!data.empty()) {
    const auto piece = data.first(std::min(data.size(), kPiece));
    auto* bytes = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(piece.data()));
    crc = ~crc32_iscsi(bytes, static_cast<int>(piece.size()), ~crc);
    data = data.subspan(piece.size());
  }
  return crc;
}

}  // namespace cider
