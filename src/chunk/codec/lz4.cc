// One raw LZ4 block: no frame, no size, no checksum.
#include <lz4.h>

#include <algorithm>
#include <climits>
#include <string>

#include "chunk/codec/codecs.h"

namespace cider::chunk {
namespace {

class Lz4 final : public Codec {
 public:
  size_t bound(size_t plain) const override {
    return plain > LZ4_MAX_INPUT_SIZE ? 0 : static_cast<size_t>(LZ4_compressBound(static_cast<int>(plain)));
  }

  Result<size_t> compress(std::span<const std::byte> in, std::span<std::byte> out) const override {
    if (in.size() > LZ4_MAX_INPUT_SIZE || out.size() < bound(in.size())) return fail(EINVAL, "lz4: bad size");
    const int written = LZ4_compress_default(text(in), text(out), length(in), length(out));
    if (written <= 0) return fail(EIO, "lz4: can't compress " + std::to_string(in.size()) + " bytes");
    return static_cast<size_t>(written);
  }

  Status decompress(std::span<const std::byte> in, std::span<std::byte> out) const override {
    if (in.size() > LZ4_MAX_INPUT_SIZE || out.size() > LZ4_MAX_INPUT_SIZE) return fail(EIO, "lz4: too long");
    const int written = LZ4_decompress_safe(text(in), text(out), length(in), length(out));
    if (written < 0) {
      return fail(EIO, "not an lz4 block of up to " + std::to_string(out.size()) + " bytes");
    }
    if (static_cast<size_t>(written) != out.size()) {
      return fail(EIO, "an lz4 block of " + std::to_string(written) + " bytes, expected " +
                           std::to_string(out.size()));
    }
    return {};
  }

 private:
  static const char* text(std::span<const std::byte> bytes) {
    return reinterpret_cast<const char*>(bytes.data());
  }
  static char* text(std::span<std::byte> bytes) { return reinterpret_cast<char*>(bytes.data()); }
  // The library counts in int; `out` beyond what it needs is cut off.
  static int length(std::span<const std::byte> bytes) {
    return static_cast<int>(std::min<size_t>(bytes.size(), INT_MAX));
  }
};

}  // namespace

const Codec& lz4_codec() {
  static const Lz4 codec;
  return codec;
}

}  // namespace cider::chunk
