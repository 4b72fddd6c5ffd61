// Slices whose counts were larger than their records, and when that was first seen. A count is lowered only
// where two runs of gc, some time apart, have found too much: one scan alone may miss a record that moves
// from file to file meanwhile.
//
// They are kept as an object of the volume beside those that JuiceFS has there, which passes over it: a line
// "<id> <size> <excess> <unix seconds>" for each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "object/object_store.h"

namespace cider::cli {

class LargeCounts {
 public:
  // What earlier runs have seen. Without such an object, or with one that can't be understood, nothing.
  static Result<LargeCounts> load(object::ObjectStore& store);

  // That a count is larger now by `excess`, and how much it may be lowered by: 0 unless it was seen before,
  // at least `apart` seconds ago, else the smaller of the two.
  int64_t see(uint64_t id, uint32_t size, int64_t excess, int64_t now, int64_t apart);
  // That the count was mended since see().
  void forget(uint64_t id, uint32_t size) { seen_.erase({id, size}); }

  // Keeps what was seen in this run for the next ones. Those that were not seen again are forgotten.
  Status save(object::ObjectStore& store) const;

  static constexpr std::string_view kKey = "ciderfs_large_counts";

 private:
  struct Sight {
    int64_t excess = 0;
    int64_t first = 0;  // unix seconds
  };
  using Sights = std::map<std::pair<uint64_t, uint32_t>, Sight>;

  Sights before_;
  Sights seen_;
};

}  // namespace cider::cli
