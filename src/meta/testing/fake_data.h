// Slices in memory, in units of 512 bytes: each unit holds a tag (0: zeros). Stands in for the data path, so
// that tests see which bytes a file has, and whether any that it has were deleted. For tests only.
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <vector>

#include "meta/meta.h"

namespace cider::meta::testing {

inline constexpr uint32_t kUnit = 512;

class FakeData {
 public:
  using Units = std::map<uint64_t, uint64_t>;  // unit in the file: tag; units of zeros are left out

  // The callbacks of a client.
  DataCallbacks callbacks(Meta& meta);

  // Writes [off, off + len) of a file through `meta`, as slices of their own; unit i gets tag first_tag + i.
  Result<Written> write(Meta& meta, Ino ino, uint64_t off, uint64_t len, uint64_t first_tag, Time mtime);
  // A pack whose bytes are there, to be committed: these ranges in this order, with tags that count up.
  struct PackedRange {
    Ino ino = 0;
    uint64_t off = 0;  // in one chunk
    uint32_t len = 0;
  };
  Result<Pack> make_pack(Meta& meta, std::span<const PackedRange> ranges, uint64_t first_tag, Time mtime);
  // Commits such a pack: each member's result.
  Result<std::vector<Result<Written>>> write_pack(Meta& meta, std::span<const PackedRange> ranges,
                                                  uint64_t first_tag, Time mtime);
  // What a reader would see of the file's first `length` bytes. EIO where a slice is missing.
  Result<Units> read(Meta& meta, Ino ino, uint64_t length);

  size_t alive() const;
  bool has(uint64_t slice) const;

 private:
  Result<Slice> rewrite(Meta& meta, std::span<const Slice> parts);
  Status add_units(std::span<const Slice> parts, uint64_t base, Units* out) const;

  mutable std::mutex mutex_;
  std::map<uint64_t, std::vector<uint64_t>> slices_;  // id: tags
};

}  // namespace cider::meta::testing
