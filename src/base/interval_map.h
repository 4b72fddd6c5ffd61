// A map from ranges of positions to values, where a later range covers what was there before. Overlays of
// slice records and buffered writes are both this.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

namespace cider {

// `Value` has `Value part(uint32_t off, uint32_t len) const`: the value of bytes [off, off+len) of its range.
// Painting is O(log n) amortised. Not thread-safe.
template <class Value>
class IntervalMap {
 public:
  struct Range {
    uint32_t end;
    Value value;
  };
  using Ranges = std::map<uint32_t, Range>;

  // Sets [begin, end), end > begin; returns how many bytes of it were set before.
  uint32_t paint(uint32_t begin, uint32_t end, Value value) {
    uint32_t covered = erase(begin, end);
    ranges_.emplace(begin, Range{end, std::move(value)});
    return covered;
  }

  // Clears [begin, end); returns how many bytes of it were set.
  uint32_t erase(uint32_t begin, uint32_t end) {
    split(begin);
    split(end);
    uint32_t erased = 0;
    auto it = ranges_.lower_bound(begin);
    while (it != ranges_.end() && it->first < end) {
      erased += it->second.end - it->first;
      it = ranges_.erase(it);
    }
    return erased;
  }

  // Calls `visit(begin, end, value)` for each set range within [begin, end), cut to it, in order.
  template <class Visit>
  void each(uint32_t begin, uint32_t end, Visit&& visit) const {
    auto it = ranges_.upper_bound(begin);
    if (it != ranges_.begin() && std::prev(it)->second.end > begin) --it;
    for (; it != ranges_.end() && it->first < end; ++it) {
      uint32_t from = std::max(begin, it->first);
      uint32_t to = std::min(end, it->second.end);
      visit(from, to, it->second.value.part(from - it->first, to - from));
    }
  }

  // The range that holds all of [begin, end), as where it begins and what it is; null if none does alone.
  const typename Ranges::value_type* covering(uint32_t begin, uint32_t end) const {
    auto it = ranges_.upper_bound(begin);
    if (it == ranges_.begin() || (--it)->second.end < end) return nullptr;
    return &*it;
  }

  bool empty() const { return ranges_.empty(); }
  void clear() { ranges_.clear(); }
  const Ranges& ranges() const { return ranges_; }
  Ranges& ranges() { return ranges_; }

 private:
  // Makes `at` a border between ranges.
  void split(uint32_t at) {
    auto it = ranges_.lower_bound(at);
    if (it == ranges_.begin()) return;
    --it;
    if (it->second.end <= at) return;
    uint32_t begin = it->first;
    uint32_t end = it->second.end;
    Value right = it->second.value.part(at - begin, end - at);
    it->second.value = it->second.value.part(0, at - begin);
    it->second.end = at;
    ranges_.emplace_hint(std::next(it), at, Range{end, std::move(right)});
  }

  Ranges ranges_;
};

}  // namespace cider
