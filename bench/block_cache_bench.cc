// The disk cache: a million blocks in the index, start-up over many files, reads of 4 KiB and 1 MiB.
// usage: block_cache_bench [FOLDER [FILES]]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "chunk/cache/disk_cache.h"

using namespace cider;
using namespace cider::chunk;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void bench_index() {
  constexpr uint64_t kBlocks = 1'000'000;
  BlockIndex index;
  auto begin = Clock::now();
  for (uint64_t id = 1; id <= kBlocks; id++) index.add({id, 0, 4 << 20}, 1);
  std::printf("index: %.0f ns to add a block, %.1f bytes a block\n", seconds_since(begin) * 1e9 / kBlocks,
              static_cast<double>(index.memory()) / kBlocks);
  begin = Clock::now();
  uint64_t found = 0;
  for (uint64_t id = 1; id <= kBlocks; id++) found += index.touch({id * 7 % kBlocks + 1, 0, 4 << 20}, 2);
  std::printf("index: %.0f ns to touch a block (%llu found)\n", seconds_since(begin) * 1e9 / kBlocks,
              static_cast<unsigned long long>(found));
  begin = Clock::now();
  constexpr int kEvicted = 100'000;
  for (int i = 0; i < kEvicted; i++) {
    if (auto victim = index.pick(2)) index.remove_unused(*victim);
  }
  std::printf("index: %.0f ns to choose and remove a block\n", seconds_since(begin) * 1e9 / kEvicted);
}

CacheOptions roomy() {
  CacheOptions options;
  options.free_ratio = 0;
  options.size = uint64_t{1} << 50;
  return options;
}

std::shared_ptr<CacheDirs> dirs_at(const std::string& folder, bool seal = false) {
  return std::make_shared<CacheDirs>(
      std::vector<std::string>{folder}, "bench",
      CacheDir::Options{"", 0600, 0, false, std::make_shared<AeadKey>(*AeadKey::random()), seal});
}

void bench_start(const std::string& folder, uint64_t files) {
  {
    MetricSet metrics;
    DiskCache cache(dirs_at(folder), {roomy(), 4 << 20, 60 << 20}, metrics);
    Buffer data = Buffer::allocate(16, nullptr);
    std::memset(data.mutable_data(), 'x', 16);
    for (uint64_t id = 1; id <= files; id++) cache.put({id, 0, 16}, {data});
  }
  MetricSet metrics;
  DiskCache cache(dirs_at(folder), {roomy(), 4 << 20, 60 << 20}, metrics);
  const auto begin = Clock::now();
  cache.rescan();
  std::printf("start: %.0f blocks found in %.2f s\n", metrics.counter("blockcache_blocks").value(),
              seconds_since(begin));
}

void bench_reads(const std::string& folder, bool seal) {
  constexpr uint64_t kBlocks = 64;
  constexpr uint32_t kBlock = 4 << 20;
  MetricSet metrics;
  DiskCache cache(dirs_at(folder, seal), {roomy(), kBlock, 600 << 20}, metrics);
  Buffer data = Buffer::allocate(kBlock, nullptr);
  std::memset(data.mutable_data(), 'x', kBlock);
  auto begin = Clock::now();
  for (uint64_t id = 1; id <= kBlocks; id++) cache.put({1'000'000'000 + id, 0, kBlock}, {data});
  std::printf("write: %.0f MiB/s\n", kBlocks * 4 / seconds_since(begin));
  std::vector<std::byte> out(1 << 20);
  for (size_t size : {size_t{4096}, size_t{1} << 20}) {
    for (const char* pass : {"first", "again"}) {
      const size_t reads = size == 4096 ? 100'000 : 512;
      begin = Clock::now();
      size_t hits = 0;
      for (size_t i = 0; i < reads; i++) {
        const uint64_t at = (i * 2654435761u) % (kBlocks * (kBlock / size));
        hits += cache.read({1'000'000'001 + at / (kBlock / size), 0, kBlock},
                           static_cast<uint32_t>(at % (kBlock / size) * size), std::span(out).first(size));
      }
      const double took = seconds_since(begin);
      std::printf("read %zu, %s: %.1f us, %.0f MiB/s, %zu of %zu hits\n", size, pass,
                  took * 1e6 / static_cast<double>(reads),
                  static_cast<double>(reads * size) / took / (1 << 20), hits, reads);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "/tmp/block_cache_bench";
  const uint64_t files = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  bench_index();
  bench_start(folder, files);
  for (bool seal : {false, true}) {
    std::puts(seal ? "encrypted:" : "plain:");
    bench_reads(folder, seal);
  }
  std::filesystem::remove_all(folder);
  return 0;
}
