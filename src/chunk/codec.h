// Compression of blocks, as the volume's setting names it. A compressed object has no size of its own in its
// name: it is read whole, and what comes out must have the block's plain length.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/result.h"

namespace cider::chunk {

// Stateless, thread-safe.
class Codec {
 public:
  virtual ~Codec() = default;

  // The most bytes that `plain` bytes can become.
  virtual size_t bound(size_t plain) const = 0;
  // Compresses `in` into the front of `out`, which has bound(in.size()) bytes; answers how many were used.
  virtual Result<size_t> compress(std::span<const std::byte> in, std::span<std::byte> out) const = 0;
  // Fills `out` exactly; EIO for input that is damaged or gives another length.
  virtual Status decompress(std::span<const std::byte> in, std::span<std::byte> out) const = 0;
};

}  // namespace cider::chunk
