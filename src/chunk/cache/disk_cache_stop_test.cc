#include <gtest/gtest.h>

#include <thread>

#include "chunk/cache/disk_cache.h"
#include "chunk/testing/disk_cache.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using namespace testing;

// Each request to the disk takes a while more.
class SlowDisk final : public Clock {
 public:
  explicit SlowDisk(Millis delay) : delay_(delay) {}
  Time now() const override { return Clock::system().now(); }
  Monotonic::time_point monotonic() const override {
    std::this_thread::sleep_for(delay_);
    return Monotonic::now();
  }

 private:
  const Millis delay_;
};

// How many of `blocks` blocks were written when a cache on that disk had stopped.
int written_at_stop(const SlowDisk& disk, uint64_t blocks, Millis limit) {
  TempDir dir;
  MetricSet metrics;
  CacheDir::Options common{"", 0600, 0, false};
  common.clock = &disk;
  auto dirs = std::make_shared<CacheDirs>(std::vector<std::string>{dir.path()}, kUuid, common);
  DiskCache cache(dirs, {roomy(), 4 << 20, 60 << 20, limit}, metrics);
  for (uint64_t id = 1; id <= blocks; id++) {
    cache.offer({id, 0, 1000}, chain_of(pattern(1000)), BlockCache::Origin::read);
  }
  cache.stop();
  int files = 0;
  for (uint64_t id = 1; id <= blocks; id++) {
    files += std::filesystem::exists(std::string((*dirs)[0].raw({id, 0, 1000}))) ? 1 : 0;
  }
  EXPECT_EQ(metrics.counter("blockcache_writes").value(), files);
  return files;
}

TEST(DiskCacheStop, WhatWaitsIsStillWritten) {
  EXPECT_EQ(written_at_stop(SlowDisk(Millis(5)), 40, Millis(60'000)), 40);
}

// All of it would take four threads six seconds.
TEST(DiskCacheStop, WhatADiskDoesNotTakeWithinTheLimitIsDropped) {
  const int written = written_at_stop(SlowDisk(Millis(20)), 1200, Millis(50));
  EXPECT_LT(written, 1200);
}

}  // namespace
}  // namespace cider::chunk
