// Counters and histograms that are cheap to update, and their text for `.stats`. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace cider {

// Counts events, bytes or (as a double) seconds.
class Counter {
 public:
  void add(double value = 1) { value_.fetch_add(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// How many observations, their sum, and how they spread over buckets that double from `first`.
class Histogram {
 public:
  static constexpr size_t kBuckets = 28;

  explicit Histogram(double first = 1e-5) : first_(first) {}
  void observe(double value);
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  double sum() const { return sum_.value(); }
  // Observations at or below first * 2^bucket; the last bucket holds the rest too.
  uint64_t bucket(size_t index) const { return buckets_[index].load(std::memory_order_relaxed); }
  double upper_bound(size_t index) const;

 private:
  const double first_;
  std::atomic<uint64_t> count_{0};
  Counter sum_;
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
};

// Named metrics. References stay valid as long as the set lives; asking for a name again answers the same
// metric.
class MetricSet {
 public:
  Counter& counter(std::string_view name);
  Histogram& histogram(std::string_view name, double first = 1e-5);

  // `prefix` + name, a space, the value: one line each. A histogram gives `_total` (its count) and `_sum`.
  std::string text(std::string_view prefix) const;

 private:
  template <class T>
  struct Named {
    std::string name;
    T metric;
    template <class... Args>
    explicit Named(std::string_view n, Args... args) : name(n), metric(args...) {}
  };

  mutable std::mutex mutex_;
  std::deque<Named<Counter>> counters_;
  std::deque<Named<Histogram>> histograms_;
};

// The process's own set, for layers that have no object to keep theirs in.
MetricSet& metrics();

// A number as `.stats` shows it: without exponent or trailing zeros.
std::string format_metric(double value);

}  // namespace cider
