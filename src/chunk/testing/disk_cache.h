// A disk cache in folders of its own. For tests.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chunk/cache/disk_cache.h"
#include "chunk/testing/forms.h"

namespace cider::chunk::testing {

inline const std::string kUuid = "247aacdf-9b7a-4ca8-a592-4bc07b80d62e";

inline Buffer buffer_of(std::string_view text) {
  Buffer buffer = Buffer::allocate(text.size(), nullptr);
  std::memcpy(buffer.mutable_data(), text.data(), text.size());
  return buffer;
}

// The data in pieces whose ends are not those of checksums.
inline BufferChain chain_of(std::string_view text) {
  const size_t cut = text.size() / 3;
  return {buffer_of(text.substr(0, cut)), buffer_of(text.substr(cut))};
}

struct Cache {
  explicit Cache(const std::vector<std::string>& folders, const CacheOptions& options = {},
                 bool start = false, BlockForm form = BlockForm::plain)
      : dirs(std::make_shared<CacheDirs>(folders, kUuid,
                                         CacheDir::Options{"", options.mode, options.free_ratio, false,
                                                           test_key(), form == BlockForm::sealed})),
        cache(dirs, {options, 4 << 20, 60 << 20}, metrics) {
    if (start) cache.start();
  }

  void put(const BlockName& block, std::string_view data,
           BlockCache::Origin origin = BlockCache::Origin::read) {
    cache.offer(block, chain_of(data), origin);
    cache.drain();
  }
  std::optional<std::string> get(const BlockName& block, uint32_t off, uint32_t size) {
    std::string out(size, '\0');
    if (!cache.read(block, off, std::as_writable_bytes(std::span(out)))) return std::nullopt;
    return out;
  }
  double value(const char* name) { return metrics.counter(name).value(); }
  std::filesystem::path raw(const BlockName& block) {
    return std::string((*dirs)[dirs->place(block)].raw(block));
  }

  MetricSet metrics;
  std::shared_ptr<CacheDirs> dirs;
  DiskCache cache;
};

inline CacheOptions roomy(Verify verify = Verify::extend) {
  CacheOptions options;
  options.free_ratio = 0;
  options.verify = verify;
  return options;
}

inline void damage(const std::filesystem::path& path, uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ 1));
}

}  // namespace cider::chunk::testing
