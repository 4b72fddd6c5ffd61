// Compression of blocks, as the volume's setting names it. A compressed object has no size of its own in its
// name: it is read whole, and what comes out must have the block's plain length. Every block is compressed,
// also where that makes it longer.
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
  // Fills `out` exactly; EIO for input that is damaged or gives another length. `in` may be of any origin.
  virtual Status decompress(std::span<const std::byte> in, std::span<std::byte> out) const = 0;
};

// The codec of a name in the volume's setting, which lives as long as the process: "lz4" (one raw LZ4 block,
// without frame or size), "zstd" (one standard frame of level 1), in any case; nullptr for "none" and "".
// EINVAL for others.
Result<const Codec*> find_codec(std::string_view name);

}  // namespace cider::chunk
