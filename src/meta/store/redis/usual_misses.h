// Directories in which names are looked up to be made: asking for the entry alone costs the server half of
// what asking for the entry and its inode does, but a second round trip if the name is there.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "base/types.h"

namespace cider::meta::redis {

// Thread-safe. Directories may share a count, which makes the guess worse and nothing else.
class UsualMisses {
 public:
  // Whether the latest lookups in the directory have all missed.
  bool expected(Ino dir) const { return count_of(dir).load(std::memory_order_relaxed) >= kSeveral; }
  void note(Ino dir, bool missed) {
    std::atomic<uint8_t>& count = count_of(dir);
    const uint8_t before = count.load(std::memory_order_relaxed);
    count.store(missed ? std::min<uint8_t>(before + 1, kSeveral) : 0, std::memory_order_relaxed);
  }

 private:
  static constexpr uint8_t kSeveral = 8;

  const std::atomic<uint8_t>& count_of(Ino dir) const { return counts_[dir % counts_.size()]; }
  std::atomic<uint8_t>& count_of(Ino dir) { return counts_[dir % counts_.size()]; }

  std::array<std::atomic<uint8_t>, 1024> counts_{};
};

}  // namespace cider::meta::redis
