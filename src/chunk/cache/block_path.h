// Names of blocks below `raw/` and `rawstaging/` of a cache directory: the keys of their objects.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "chunk/block_cache.h"

namespace cider::chunk {

// A path made without allocating.
class BlockPath {
 public:
  BlockPath(std::string_view folder, const BlockName& block, bool hash_prefix) {
    const unsigned long long id = block.slice;
    const int folder_size = static_cast<int>(folder.size());
    if (hash_prefix) {
      size_ =
          std::snprintf(text_, sizeof text_, "%.*schunks/%02X/%llu/%llu_%u_%u", folder_size, folder.data(),
                        static_cast<unsigned>(id % 256), id / 1000000, id, block.index, block.bytes);
    } else {
      size_ = std::snprintf(text_, sizeof text_, "%.*schunks/%llu/%llu/%llu_%u_%u", folder_size,
                            folder.data(), id / 1000000, id / 1000, id, block.index, block.bytes);
    }
  }
  const char* c_str() const { return text_; }
  operator std::string_view() const { return {text_, static_cast<size_t>(size_)}; }

 private:
  char text_[4096];
  int size_;
};

// The block that a file "<slice>_<index>_<bytes>" holds; nothing for other names.
inline std::optional<BlockName> parse_block_name(std::string_view file) {
  uint64_t numbers[3];
  for (int i = 0; i < 3; i++) {
    size_t end = i < 2 ? file.find('_') : file.size();
    if (end == std::string_view::npos || end == 0 || end > 20) return std::nullopt;
    uint64_t value = 0;
    for (char c : file.substr(0, end)) {
      if (c < '0' || c > '9' || value > (UINT64_MAX - 9) / 10) return std::nullopt;
      value = value * 10 + static_cast<uint64_t>(c - '0');
    }
    numbers[i] = value;
    file.remove_prefix(i < 2 ? end + 1 : end);
  }
  constexpr uint64_t kMostBlocks = 1 << 11;
  constexpr uint64_t kMostBytes = 16 << 20;
  if (numbers[1] >= kMostBlocks || numbers[2] == 0 || numbers[2] > kMostBytes) return std::nullopt;
  return BlockName{numbers[0], static_cast<uint32_t>(numbers[1]), static_cast<uint32_t>(numbers[2])};
}

}  // namespace cider::chunk
