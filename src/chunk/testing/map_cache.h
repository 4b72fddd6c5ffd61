// A block cache in a map, which takes everything at once. For tests.
#pragma once

#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "chunk/block_cache.h"

namespace cider::chunk::testing {

// Thread-safe.
class MapCache final : public BlockCache {
 public:
  bool read(const BlockName& block, uint32_t off, std::span<std::byte> out) override {
    std::lock_guard lock(mutex_);
    auto it = blocks_.find(block);
    if (it == blocks_.end() || off + out.size() > it->second.size()) return false;
    std::memcpy(out.data(), it->second.data() + off, out.size());
    reads_++;
    return true;
  }
  bool contains(const BlockName& block) const override {
    std::lock_guard lock(mutex_);
    return blocks_.contains(block);
  }
  void offer(const BlockName& block, BufferChain data, Origin origin) override {
    if (origin == Origin::written && !takes_written) return;
    if (origin != Origin::asked && only_asked) return;
    std::string bytes;
    for (const Buffer& piece : data) bytes += piece.text();
    std::lock_guard lock(mutex_);
    blocks_[block] = bytes;
  }
  void remove(const BlockName& block) override {
    std::lock_guard lock(mutex_);
    blocks_.erase(block);
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return blocks_.size();
  }
  int reads() const {
    std::lock_guard lock(mutex_);
    return reads_;
  }
  void clear() {
    std::lock_guard lock(mutex_);
    blocks_.clear();
  }

  bool takes_reads() const override { return !only_asked; }

  bool takes_written = false;
  bool only_asked = false;

 private:
  mutable std::mutex mutex_;
  std::map<BlockName, std::string> blocks_;
  int reads_ = 0;
};

}  // namespace cider::chunk::testing
