#include "base/metrics.h"

#include <gtest/gtest.h>

namespace cider {
namespace {

TEST(Metrics, TextHasOneLinePerValue) {
  MetricSet set;
  set.counter("ops").add();
  set.counter("ops").add(2);
  set.counter("seconds").add(0.25);
  set.histogram("latency").observe(0.5);
  set.histogram("latency").observe(1);
  EXPECT_EQ(set.text("x_"), "x_ops 3\nx_seconds 0.25\nx_latency_total 2\nx_latency_sum 1.5\n");
}

TEST(Metrics, BucketsDouble) {
  Histogram h(1);
  for (double v : {0.5, 1.0, 1.5, 2.0, 3.0, 1e300}) h.observe(v);
  EXPECT_EQ(h.bucket(0), 2u);  // up to 1
  EXPECT_EQ(h.bucket(1), 2u);  // up to 2
  EXPECT_EQ(h.bucket(2), 1u);  // up to 4
  EXPECT_EQ(h.bucket(Histogram::kBuckets - 1), 1u);
  EXPECT_DOUBLE_EQ(h.upper_bound(2), 4);
}

}  // namespace
}  // namespace cider
