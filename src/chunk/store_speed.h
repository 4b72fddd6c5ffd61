// How far away the store is, as its answers show: what decides whether a part of an object or all of it is
// the cheaper thing to ask for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace cider::chunk {

// Thread-safe. Moving averages; a few answers are enough to begin with.
class StoreSpeed {
 public:
  using Duration = std::chrono::duration<double>;

  // An answer of `bytes`, whose first bytes came after `first` and the last after `all`.
  void note(uint64_t bytes, Duration first, Duration all);

  // An object of up to so many bytes takes no longer to transfer than a request takes to be answered: asking
  // for less of it saves little.
  uint64_t worthwhile() const;

 private:
  std::atomic<double> latency_{0};    // seconds to the first byte
  std::atomic<double> bandwidth_{0};  // bytes a second of one request
};

}  // namespace cider::chunk
