#include "meta/testing/fake_data.h"

#include <algorithm>

#include "base/overlay.h"

namespace cider::meta::testing {

DataCallbacks FakeData::callbacks(Meta& meta) {
  DataCallbacks out;
  out.delete_slice = [this](uint64_t id, uint32_t) -> Status {
    std::lock_guard lock(mutex_);
    slices_.erase(id);
    return {};
  };
  out.rewrite = [this, &meta](std::span<const Slice> parts) { return rewrite(meta, parts); };
  return out;
}

Result<Written> FakeData::write(Meta& meta, Ino ino, uint64_t off, uint64_t len, uint64_t first_tag,
                                Time mtime) {
  std::vector<ChunkSlice> slices;
  for (uint64_t at = off; at < off + len;) {
    uint64_t end = std::min(off + len, (at / kChunkSize + 1) * kChunkSize);
    uint32_t size = static_cast<uint32_t>(end - at);
    uint64_t id = TRY(meta.next_slice_id());
    std::vector<uint64_t> tags;
    for (uint64_t unit = at / kUnit; unit < end / kUnit; ++unit)
      tags.push_back(first_tag + unit - off / kUnit);
    {
      std::lock_guard lock(mutex_);
      slices_.emplace(id, std::move(tags));
    }
    slices.push_back({static_cast<uint32_t>(at / kChunkSize),
                      {static_cast<uint32_t>(at % kChunkSize), id, size, 0, size}});
    at = end;
  }
  auto written = meta.write(ino, slices, mtime);
  if (!written) {
    std::lock_guard lock(mutex_);
    for (const ChunkSlice& s : slices) slices_.erase(s.slice.id);
  }
  return written;
}

Result<Pack> FakeData::make_pack(Meta& meta, std::span<const PackedRange> ranges, uint64_t first_tag,
                                 Time mtime) {
  uint64_t id = TRY(meta.next_slice_id());
  Pack pack;
  uint32_t size = 0;
  for (const PackedRange& range : ranges) {
    pack.members.push_back({range.ino,
                            static_cast<uint32_t>(range.off / kChunkSize),
                            {static_cast<uint32_t>(range.off % kChunkSize), id, 0, size, range.len},
                            mtime});
    size += range.len;
  }
  for (PackMember& member : pack.members) member.slice.size = size;
  std::vector<uint64_t> tags;
  for (uint32_t unit = 0; unit < size / kUnit; ++unit) tags.push_back(first_tag + unit);
  std::lock_guard lock(mutex_);
  slices_.emplace(id, std::move(tags));
  return pack;
}

Result<std::vector<Result<Written>>> FakeData::write_pack(Meta& meta, std::span<const PackedRange> ranges,
                                                          uint64_t first_tag, Time mtime) {
  Pack pack = TRY(make_pack(meta, ranges, first_tag, mtime));
  auto results = TRY(meta.commit_pack(&pack));
  if (std::ranges::none_of(results, [](const auto& result) { return result.has_value(); })) {
    std::lock_guard lock(mutex_);
    slices_.erase(pack.members[0].slice.id);
  }
  return results;
}

Status FakeData::add_units(std::span<const Slice> parts, uint64_t base, Units* out) const {
  std::lock_guard lock(mutex_);
  for (const Slice& part : parts) {
    if (part.id == 0) continue;
    auto slice = slices_.find(part.id);
    if (slice == slices_.end())
      return fail(EIO, "slice " + std::to_string(part.id) + " was deleted although a file has it");
    for (uint32_t at = 0; at < part.len; at += kUnit) {
      uint64_t tag = slice->second.at((part.off + at) / kUnit);
      if (tag != 0) (*out)[(base + part.pos + at) / kUnit] = tag;
    }
  }
  return {};
}

Result<FakeData::Units> FakeData::read(Meta& meta, Ino ino, uint64_t length) {
  Units units;
  for (uint32_t index = 0; index * kChunkSize < length; ++index) {
    std::vector<Slice> records = TRY(meta.chunk(ino, index));
    TRY(add_units(visible_parts(records), index * kChunkSize, &units));
  }
  units.erase(units.lower_bound((length + kUnit - 1) / kUnit), units.end());
  return units;
}

Result<Slice> FakeData::rewrite(Meta& meta, std::span<const Slice> parts) {
  std::vector<uint64_t> tags;
  {
    std::lock_guard lock(mutex_);
    for (const Slice& part : parts) {
      const std::vector<uint64_t>* from = nullptr;
      if (part.id != 0) {
        auto slice = slices_.find(part.id);
        if (slice == slices_.end())
          return fail(ENOENT, "slice " + std::to_string(part.id));  // compacted by another
        from = &slice->second;
      }
      for (uint32_t at = 0; at < part.len; at += kUnit)
        tags.push_back(from ? from->at((part.off + at) / kUnit) : 0);
    }
  }
  uint64_t id = TRY(meta.next_slice_id());
  uint32_t size = static_cast<uint32_t>(tags.size() * kUnit);
  std::lock_guard lock(mutex_);
  slices_.emplace(id, std::move(tags));
  return Slice{0, id, size, 0, size};
}

size_t FakeData::alive() const {
  std::lock_guard lock(mutex_);
  return slices_.size();
}

bool FakeData::has(uint64_t slice) const {
  std::lock_guard lock(mutex_);
  return slices_.contains(slice);
}

}  // namespace cider::meta::testing
