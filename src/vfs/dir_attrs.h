// Attributes of directories as this client's own changes of their entries left them. The kernel drops what it
// holds of a directory after each such change, and soon asks again: it is told what the commit said, without
// another trip to the engine, and may keep that for as long as if it had been told with the commit.
//
// Thread-safe, of fixed size: a directory that fell out is asked for.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/types.h"
#include "meta/model/attr.h"
#include "vfs/local_changes.h"

namespace cider::vfs {

class DirAttrs {
 public:
  using Clock = std::chrono::steady_clock;

  // `changes` must outlive it. `ttl`: how long attributes may be trusted.
  DirAttrs(LocalChanges& changes, Clock::duration ttl) : changes_(changes), ttl_(ttl), slots_(kSlots) {}

  struct Start {
    uint64_t moment;
    Clock::time_point time;
  };
  // Take this before an operation that changes directories.
  Start start() const { return {changes_.now(), Clock::now()}; }

  // After its commit: the directory is `after` now, if the engine told. Nothing is kept where another change
  // by this client was under way, because answers of commits don't come in the order of the commits.
  void changed(Ino dir, const std::optional<meta::Attr>& after, const Start& start) {
    const LocalChanges::Mark mark = changes_.mark(dir);
    if (!after || mark.previous > start.moment) return;
    Slot& slot = slots_[slot_of(dir)];
    std::lock_guard lock(mutex_of(dir));
    slot = {dir, mark.moment, start.time + ttl_, *after};
  }

  struct Known {
    meta::Attr attr;
    Clock::duration ttl;  // what is left of it
  };
  // Only once: who asks again without a change in between wants to know better.
  std::optional<Known> take(Ino dir) {
    Slot& slot = slots_[slot_of(dir)];
    std::lock_guard lock(mutex_of(dir));
    if (slot.dir != dir) return std::nullopt;
    slot.dir = 0;
    const Clock::duration left = slot.until - Clock::now();
    if (left <= Clock::duration::zero() || changes_.since(dir, slot.moment)) return std::nullopt;
    return Known{slot.attr, left};
  }

 private:
  struct Slot {
    Ino dir = 0;
    uint64_t moment = 0;  // of the change, in changes_
    Clock::time_point until;
    meta::Attr attr;
  };
  static constexpr size_t kSlots = 1024;
  static constexpr size_t kLocks = 16;
  static size_t slot_of(Ino dir) { return (dir * 0x9E3779B97F4A7C15ull) >> 54; }
  std::mutex& mutex_of(Ino dir) { return mutexes_[slot_of(dir) % kLocks]; }

  LocalChanges& changes_;
  const Clock::duration ttl_;
  std::vector<Slot> slots_;
  std::array<std::mutex, kLocks> mutexes_;
};

}  // namespace cider::vfs
