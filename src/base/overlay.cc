#include "base/overlay.h"

namespace cider {

void Overlay::add(const Slice& record) {
  records_++;
  uint64_t end = std::min<uint64_t>(uint64_t{record.pos} + record.len, kChunkSize);
  if (record.id != 0) {
    if (record.off >= record.size) return;
    end = std::min<uint64_t>(end, uint64_t{record.pos} + (record.size - record.off));
  }
  if (end <= record.pos) return;
  map_.paint(record.pos, static_cast<uint32_t>(end), {record.id, record.size, record.id ? record.off : 0});
}

std::vector<Slice> Overlay::extents(uint32_t begin, uint32_t end) const {
  std::vector<Slice> out;
  uint32_t at = begin;
  auto zeros_to = [&](uint32_t to) {
    if (to > at) out.push_back(Slice{.pos = at, .len = to - at});
    at = to;
  };
  map_.each(begin, end, [&](uint32_t from, uint32_t to, const SliceBytes& bytes) {
    zeros_to(from);
    out.push_back(Slice{from, bytes.id, bytes.size, bytes.off, to - from});
    at = to;
  });
  zeros_to(end);
  return out;
}

std::vector<Slice> visible_parts(std::span<const Slice> records) {
  std::vector<Slice> out;
  Overlay(records).map().each(0, kChunkSize, [&](uint32_t from, uint32_t to, const SliceBytes& bytes) {
    out.push_back(Slice{from, bytes.id, bytes.size, bytes.off, to - from});
  });
  return out;
}

std::vector<Slice> filled_parts(std::span<const Slice> records, uint32_t begin, uint32_t end) {
  return Overlay(records).extents(begin, end);
}

}  // namespace cider
