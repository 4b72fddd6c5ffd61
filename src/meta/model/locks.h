// Lock records of an inode: BSD locks (flock) and POSIX record locks (fcntl).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cider::meta {

// NOTE: persistent values (first field of a plock record).
enum class LockKind : uint32_t { read = 0, write = 1, unlock = 2 };

// Who holds: a session and the kernel's lock owner in it.
struct LockHolder {
  uint64_t sid = 0;
  uint64_t owner = 0;
  auto operator<=>(const LockHolder&) const = default;
};

struct Flock {
  LockHolder holder;
  LockKind kind = LockKind::read;
  bool operator==(const Flock&) const = default;
};

// Bytes [start, end], inclusive; end 0x7FFFFFFFFFFFFFFF is the end of any file.
struct PlockRange {
  LockKind kind = LockKind::read;
  uint32_t pid = 0;
  uint64_t start = 0;
  uint64_t end = 0;
  bool operator==(const PlockRange&) const = default;
};

struct Plock {
  LockHolder holder;
  std::vector<PlockRange> ranges;  // sorted by start, not overlapping
  bool operator==(const Plock&) const = default;
};

// Format: JuiceFS 1.4 pkg/meta/utils.go dumpLocks: 24 bytes each {kind u32, pid u32, start u64, end u64}.
std::string encode_plock_ranges(const std::vector<PlockRange>& ranges);
// EIO for records that are cut, of another kind than read and write, overlapping or not in order.
Result<std::vector<PlockRange>> decode_plock_ranges(std::string_view records);

// The ranges of one holder after it set (or, with kind unlock, cleared) `range`: split, replaced and merged
// as fcntl demands.
std::vector<PlockRange> update_plock_ranges(std::vector<PlockRange> ranges, const PlockRange& range);

// The first range of another holder that keeps `holder` from setting `range`; null if none. `who` may be
// null.
const PlockRange* find_conflict(const std::vector<Plock>& table, const LockHolder& holder,
                                const PlockRange& range, LockHolder* who);
bool find_conflict(const std::vector<Flock>& table, const LockHolder& holder, LockKind kind, LockHolder* who);

}  // namespace cider::meta
