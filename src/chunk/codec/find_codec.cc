#include <algorithm>
#include <string>

#include "chunk/codec/codecs.h"

namespace cider::chunk {

Result<const Codec*> find_codec(std::string_view as_given) {
  std::string name(as_given);
  std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; });
  if (name.empty() || name == "none") return nullptr;
  if (name == "lz4") return &lz4_codec();
  if (name == "zstd") return &zstd_codec();
  return fail(EINVAL, "compression \"" + std::string(as_given) + "\" is not known; use none, lz4 or zstd");
}

}  // namespace cider::chunk
