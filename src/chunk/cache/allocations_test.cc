// A cached read allocates nothing: counted by replacing operator new in this program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "chunk/cache/disk_cache.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace {

thread_local size_t allocations = 0;

void* counted(size_t size) {
  allocations++;
  void* memory = std::malloc(size);
  if (!memory) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) {
  return counted(size);
}
void* operator new[](size_t size) {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}

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
      const size_t before = allocations;
      size_t hits = 0;
      for (int round = 0; round < 2; round++) {
        for (uint64_t id = 1; id <= kBlocks; id++) hits += cache.read({id, 0, 100'000}, 4096, out);
      }
      EXPECT_EQ(allocations - before, 0u);
      EXPECT_EQ(hits, 2 * kBlocks);
    }
  }
}

}  // namespace
}  // namespace cider::chunk
