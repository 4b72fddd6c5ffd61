#include "base/overlay.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace cider {
namespace {

using Parts = std::map<uint32_t, Slice>;

uint32_t end_of(const Slice& part) { return part.pos + part.len; }

Slice cut(const Slice& part, uint32_t begin, uint32_t end) {
  Slice out = part;
  out.pos = begin;
  out.len = end - begin;
  if (part.id != 0) out.off = part.off + (begin - part.pos);
  return out;
}

// Removes [begin, end) from the parts, keeping what sticks out on either side.
void clear(Parts* parts, uint32_t begin, uint32_t end) {
  auto it = parts->lower_bound(begin);
  if (it != parts->begin()) {
    auto before = std::prev(it);
    if (end_of(before->second) > begin) it = before;
  }
  while (it != parts->end() && it->second.pos < end) {
    Slice old = it->second;
    it = parts->erase(it);
    if (old.pos < begin) parts->emplace(old.pos, cut(old, old.pos, begin));
    if (end_of(old) > end) it = parts->emplace(end, cut(old, end, end_of(old))).first;
  }
}

bool continues(const Slice& a, const Slice& b) {
  if (end_of(a) != b.pos || a.id != b.id) return false;
  return a.id == 0 || (a.size == b.size && a.off + a.len == b.off);
}

}  // namespace

std::vector<Slice> visible_parts(std::span<const Slice> records) {
  Parts parts;
  for (const Slice& record : records) {
    if (record.len == 0) continue;
    clear(&parts, record.pos, end_of(record));
    parts.emplace(record.pos, record);
  }
  std::vector<Slice> out;
  out.reserve(parts.size());
  for (const auto& [pos, part] : parts) {
    if (!out.empty() && continues(out.back(), part)) {
      out.back().len += part.len;
    } else {
      out.push_back(part);
    }
  }
  return out;
}

std::vector<Slice> filled_parts(std::span<const Slice> records, uint32_t begin, uint32_t end) {
  std::vector<Slice> out;
  uint32_t at = begin;
  auto fill = [&](uint32_t until) {
    if (until > at) out.push_back(Slice{at, 0, until - at, 0, until - at});
    at = std::max(at, until);
  };
  for (const Slice& part : visible_parts(records)) {
    uint32_t from = std::max(part.pos, begin);
    uint32_t to = std::min(end_of(part), end);
    if (from >= to) continue;
    fill(from);
    out.push_back(cut(part, from, to));
    at = to;
  }
  fill(end);
  return out;
}

}  // namespace cider
