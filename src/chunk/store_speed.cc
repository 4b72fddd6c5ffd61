#include "chunk/store_speed.h"

#include <algorithm>

namespace cider::chunk {
namespace {

constexpr double kWeight = 0.1;           // of the newest answer
constexpr uint64_t kTelling = 128 << 10;  // smaller answers tell nothing about bandwidth
constexpr double kShortest = 1e-6;
constexpr uint64_t kMost = 4 << 20;

// Two threads may lose each other's update, which an average can bear.
void average(std::atomic<double>& value, double newest) {
  const double old = value.load(std::memory_order_relaxed);
  value.store(old == 0 ? newest : old + kWeight * (newest - old), std::memory_order_relaxed);
}

}  // namespace

void StoreSpeed::note(uint64_t bytes, Duration first, Duration all) {
  average(latency_, std::max(first.count(), kShortest));
  if (bytes < kTelling) return;
  // Where the first bytes are told with the last, latency is what other answers have shown.
  const double latency = latency_.load(std::memory_order_relaxed);
  const double transfer = all - first > first / 10 ? (all - first).count() : all.count() - latency;
  average(bandwidth_, static_cast<double>(bytes) / std::max(transfer, all.count() / 10));
}

uint64_t StoreSpeed::worthwhile() const {
  const double bytes = latency_.load(std::memory_order_relaxed) * bandwidth_.load(std::memory_order_relaxed);
  return std::min(static_cast<uint64_t>(bytes), kMost);
}

}  // namespace cider::chunk
