// Tells whether this client changed an inode since a moment, so that an answer read before the change is not
// given out as if it were still right. Thread-safe, lock-free, of fixed size: inodes share slots, so it may
// say "changed" without cause.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/types.h"

namespace cider::vfs {

class LocalChanges {
 public:
  // Take this before reading from the engine.
  uint64_t now() const { return clock_.load(std::memory_order_acquire); }

  struct Mark {
    uint64_t moment;
    uint64_t previous;  // of the mark before it, or after it if there is one already
  };
  // Call after the change is committed, before anybody is told of it.
  Mark mark(Ino ino) {
    const uint64_t moment = clock_.fetch_add(1, std::memory_order_acq_rel) + 1;
    std::atomic<uint64_t>& slot = slot_of(ino);
    uint64_t seen = slot.load(std::memory_order_relaxed);
    while (seen < moment && !slot.compare_exchange_weak(seen, moment, std::memory_order_acq_rel)) {
    }
    return {moment, seen};
  }

  bool since(Ino ino, uint64_t moment) const {
    return const_cast<LocalChanges*>(this)->slot_of(ino).load(std::memory_order_acquire) > moment;
  }

 private:
  static constexpr size_t kSlots = 16384;
  std::atomic<uint64_t>& slot_of(Ino ino) { return slots_[(ino * 0x9E3779B97F4A7C15ull) >> 50]; }

  std::atomic<uint64_t> clock_{0};
  std::array<std::atomic<uint64_t>, kSlots> slots_{};
};

}  // namespace cider::vfs
