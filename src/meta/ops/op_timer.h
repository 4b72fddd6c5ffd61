// Counts and times one metadata operation under JuiceFS's name for it: `const OpTimer<"Lookup"> timer;`.
// Costs two looks at the clock and a few atomic additions.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>

#include "base/metrics.h"

namespace cider::meta {

struct OpMetrics {
  explicit OpMetrics(const std::string& name)
      : total(metrics().counter("meta_ops_total_" + name)),
        seconds(metrics().counter("meta_ops_duration_seconds_" + name)),
        durations(metrics().histogram("meta_ops_durations_histogram_seconds")) {}
  cider::Counter& total;
  cider::Counter& seconds;
  Histogram& durations;
};

template <size_t N>
struct OpName {
  char text[N];
  constexpr OpName(const char (&name)[N]) { std::copy_n(name, N, text); }
};

template <OpName Name>
class OpTimer {
 public:
  OpTimer() = default;
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;
  ~OpTimer() {
    static const OpMetrics of(Name.text);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    of.total.add();
    of.seconds.add(took);
    of.durations.observe(took);
  }

 private:
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

// One transaction, and how often it had to begin again.
class TransactionTimer {
 public:
  TransactionTimer() = default;
  TransactionTimer(const TransactionTimer&) = delete;
  TransactionTimer& operator=(const TransactionTimer&) = delete;
  ~TransactionTimer() {
    static Histogram& durations = metrics().histogram("transaction_durations_histogram_seconds");
    static cider::Counter& restarts = metrics().counter("transaction_restart");
    durations.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count());
    if (attempts_ > 1) restarts.add(attempts_ - 1);
  }
  void attempt() { ++attempts_; }

 private:
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  int attempts_ = 0;
};

}  // namespace cider::meta
