// A cached read allocates nothing: counted by replacing operator new in this program.
#include <gtest/gtest.h>

#include <cstring>

#include "base/testing/counted_new.h"
#include "chunk/cache/disk_cache.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

TEST(CacheAllocations, AHitAllocatesNothing) {
  for (Verify verify : {Verify::none, Verify::extend}) {
    for (int folders : {1, 3}) {
      testing::TempDir dir;
      MetricSet metrics;
      CacheOptions options;
      options.free_ratio = 0;
      options.verify = verify;
      std::vector<std::string> paths;
      for (int i = 0; i < folders; i++) paths.push_back(dir.path() / std::to_string(i));
      auto dirs = std::make_shared<CacheDirs>(paths, "uuid", CacheDir::Options{"", 0600, 0, false});
      DiskCache cache(dirs, {options, 4 << 20, 60 << 20}, metrics);
      constexpr uint64_t kBlocks = 600;  // more than are kept open
      Buffer data = Buffer::allocate(100'000, nullptr);
      std::memset(data.mutable_data(), 7, data.size());
      for (uint64_t id = 1; id <= kBlocks; id++) cache.put({id, 0, 100'000}, {data});
      std::vector<std::byte> out(4096);
      const size_t before = cider::testing::allocations;
      size_t hits = 0;
      for (int round = 0; round < 2; round++) {
        for (uint64_t id = 1; id <= kBlocks; id++) hits += cache.read({id, 0, 100'000}, 4096, out);
      }
      EXPECT_EQ(cider::testing::allocations - before, 0u);
      EXPECT_EQ(hits, 2 * kBlocks);
    }
  }
}

}  // namespace
}  // namespace cider::chunk
