// Objects of any content as compressed blocks: an error or a block of the length asked for, and what was
// compressed comes back.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "chunk/codec.h"

namespace {

void decompress_anything(const cider::chunk::Codec& codec, std::span<const std::byte> in, size_t length) {
  std::vector<std::byte> out(length);
  if (auto done = codec.decompress(in, out); !done && done.error().code == 0) __builtin_trap();
}

void round_trip(const cider::chunk::Codec& codec, std::span<const std::byte> plain) {
  std::vector<std::byte> packed(codec.bound(plain.size()));
  auto size = codec.compress(plain, packed);
  if (!size) __builtin_trap();
  std::vector<std::byte> out(plain.size());
  if (!codec.decompress(std::span(packed).first(*size), out)) __builtin_trap();
  if (std::memcmp(out.data(), plain.data(), plain.size()) != 0) __builtin_trap();
}

}  // namespace

// The first two bytes choose the length of the block.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const size_t length = 1 + data[0] + size_t{256} * data[1];
  const std::vector<std::byte> rest(reinterpret_cast<const std::byte*>(data) + 2,
                                    reinterpret_cast<const std::byte*>(data) + size);
  for (const char* name : {"lz4", "zstd"}) {
    const cider::chunk::Codec& codec = **cider::chunk::find_codec(name);
    decompress_anything(codec, rest, length);
    round_trip(codec, rest);
  }
  return 0;
}
