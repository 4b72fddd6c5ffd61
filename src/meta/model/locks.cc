#include "meta/model/locks.h"

#include <algorithm>

#include "base/bytes.h"

namespace cider::meta {
namespace {

constexpr size_t kRecordSize = 24;

bool exclude_each_other(LockKind a, LockKind b) {
  return a == LockKind::write || b == LockKind::write;
}

bool overlap(const PlockRange& a, const PlockRange& b) {
  return a.start <= b.end && b.start <= a.end;
}

// Joins neighbours of a sorted list that differ in their bytes alone.
void merge_neighbours(std::vector<PlockRange>* ranges) {
  std::vector<PlockRange> merged;
  for (const PlockRange& range : *ranges) {
    PlockRange* last = merged.empty() ? nullptr : &merged.back();
    if (last && last->kind == range.kind && last->pid == range.pid && last->end + 1 == range.start) {
      last->end = range.end;
    } else {
      merged.push_back(range);
    }
  }
  *ranges = std::move(merged);
}

}  // namespace

std::string encode_plock_ranges(const std::vector<PlockRange>& ranges) {
  ByteWriter out;
  for (const PlockRange& range : ranges) {
    out.u32(static_cast<uint32_t>(range.kind)).u32(range.pid).u64(range.start).u64(range.end);
  }
  return out.take();
}

Result<std::vector<PlockRange>> decode_plock_ranges(std::string_view records) {
  if (records.size() % kRecordSize != 0) {
    return fail(EIO, "lock records of " + std::to_string(records.size()) + " bytes are no multiple of 24");
  }
  std::vector<PlockRange> ranges;
  ByteReader in(records);
  while (in.remaining() > 0) {
    const uint32_t kind = in.u32();
    PlockRange range;
    range.kind = static_cast<LockKind>(kind);
    range.pid = in.u32();
    range.start = in.u64();
    range.end = in.u64();
    if (kind > static_cast<uint32_t>(LockKind::write))
      return fail(EIO, "lock record of kind " + std::to_string(kind));
    if (range.start > range.end || (!ranges.empty() && range.start <= ranges.back().end)) {
      return fail(EIO, "lock records overlap or are not in order");
    }
    ranges.push_back(range);
  }
  return ranges;
}

std::vector<PlockRange> update_plock_ranges(std::vector<PlockRange> ranges, const PlockRange& range) {
  if (range.start > range.end) return ranges;
  std::vector<PlockRange> out;
  for (const PlockRange& old : ranges) {
    if (!overlap(old, range)) {
      out.push_back(old);
      continue;
    }
    if (old.start < range.start) out.push_back({old.kind, old.pid, old.start, range.start - 1});
    if (old.end > range.end) out.push_back({old.kind, old.pid, range.end + 1, old.end});
  }
  if (range.kind != LockKind::unlock) out.push_back(range);
  std::ranges::sort(out, {}, &PlockRange::start);
  merge_neighbours(&out);
  return out;
}

const PlockRange* find_conflict(const std::vector<Plock>& table, const LockHolder& holder,
                                const PlockRange& range, LockHolder* who) {
  if (range.kind == LockKind::unlock) return nullptr;
  for (const Plock& other : table) {
    if (other.holder == holder) continue;
    for (const PlockRange& held : other.ranges) {
      if (!overlap(held, range) || !exclude_each_other(held.kind, range.kind)) continue;
      if (who) *who = other.holder;
      return &held;
    }
  }
  return nullptr;
}

bool find_conflict(const std::vector<Flock>& table, const LockHolder& holder, LockKind kind,
                   LockHolder* who) {
  if (kind == LockKind::unlock) return false;
  for (const Flock& held : table) {
    if (held.holder == holder || !exclude_each_other(held.kind, kind)) continue;
    if (who) *who = held.holder;
    return true;
  }
  return false;
}

}  // namespace cider::meta
