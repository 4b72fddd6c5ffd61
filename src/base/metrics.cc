#include "base/metrics.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace cider {

double Histogram::upper_bound(size_t index) const {
  return first_ * std::exp2(static_cast<double>(index));
}

void Histogram::observe(double value) {
  count_.fetch_add(1, std::memory_order_relaxed);
  sum_.add(value);
  size_t index = 0;
  if (value > first_) index = static_cast<size_t>(std::ceil(std::log2(value / first_)));
  buckets_[std::min(index, kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
}

Counter& MetricSet::counter(std::string_view name) {
  std::lock_guard lock(mutex_);
  for (auto& named : counters_) {
    if (named.name == name) return named.metric;
  }
  return counters_.emplace_back(name).metric;
}

Histogram& MetricSet::histogram(std::string_view name, double first) {
  std::lock_guard lock(mutex_);
  for (auto& named : histograms_) {
    if (named.name == name) return named.metric;
  }
  return histograms_.emplace_back(name, first).metric;
}

std::string MetricSet::text(std::string_view prefix) const {
  std::string out;
  const auto line = [&](std::string_view name, std::string_view suffix, double value) {
    out.append(prefix).append(name).append(suffix).append(" ").append(format_metric(value)).append("\n");
  };
  std::lock_guard lock(mutex_);
  for (const auto& named : counters_) line(named.name, "", named.metric.value());
  for (const auto& named : histograms_) {
    line(named.name, "_total", static_cast<double>(named.metric.count()));
    line(named.name, "_sum", named.metric.sum());
  }
  return out;
}

MetricSet& metrics() {
  static MetricSet set;
  return set;
}

std::string format_metric(double value) {
  std::string out = std::to_string(value);
  if (std::floor(value) == value && std::abs(value) < 1e15)
    return std::to_string(static_cast<int64_t>(value));
  while (out.ends_with('0')) out.pop_back();
  if (out.ends_with('.')) out.pop_back();
  return out;
}

}  // namespace cider
