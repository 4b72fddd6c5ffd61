// How many, and how many bytes.
#pragma once

#include <cstdint>

namespace cider::cli {

struct Tally {
  uint64_t count = 0;
  uint64_t bytes = 0;

  void add(uint64_t size) {
    ++count;
    bytes += size;
  }
};

}  // namespace cider::cli
