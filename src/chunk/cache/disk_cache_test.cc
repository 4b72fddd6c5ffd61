#include "chunk/cache/disk_cache.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "base/testing/fixtures.h"
#include "chunk/block_store.h"
#include "chunk/testing/disk_cache.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using cider::testing::read_file;
using namespace testing;
namespace fs = std::filesystem;

// What holds for plain and for encrypted files.
class DiskCacheTest : public ::testing::TestWithParam<BlockForm> {
 protected:
  static Cache open(const std::vector<std::string>& folders, const CacheOptions& options,
                    bool start = false) {
    return Cache(folders, options, start, GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Forms, DiskCacheTest, kForms, form_name);

TEST(DiskCache, NamesAreTheKeysOfObjects) {
  for (bool hash_prefix : {false, true}) {
    for (uint64_t id : {1ull, 999ull, 1234567ull, 18446744073709551615ull}) {
      EXPECT_EQ(std::string_view(BlockPath("/c/raw/", {id, 7, 4096}, hash_prefix)),
                "/c/raw/" + block_key(Layout{4096, hash_prefix}, id, 7, 4096));
    }
  }
  EXPECT_EQ(parse_block_name("12_3_4096"), (BlockName{12, 3, 4096}));
  for (const char* bad : {"", "12_3", "12_3_", "_3_4", "12_3_0", "12_3_4096.tmp", "12_3_99999999", "a_1_2",
                          "1_5000_9", "99999999999999999999_1_1"})
    EXPECT_FALSE(parse_block_name(bad)) << bad;
}

// What JuiceFS has cached is read, and what we cache are its bytes.
class Golden : public ::testing::TestWithParam<std::pair<const char*, Verify>> {};

TEST_P(Golden, FilesOfJuiceFSAreReadAndWrittenByteForByte) {
  CIDER_FIXTURE(fixture, "cache");
  const auto [sample, verify] = GetParam();
  TempDir theirs;
  fs::copy(fixture / sample, theirs.path(), fs::copy_options::recursive);
  const std::string uuid = fs::directory_iterator(theirs.path())->path().filename();
  TempDir ours;
  MetricSet metrics;
  const auto open = [&](const TempDir& dir) {
    auto dirs = std::make_shared<CacheDirs>(std::vector<std::string>{dir.path()}, uuid,
                                            CacheDir::Options{"", 0600, 0, false});
    return std::make_unique<DiskCache>(dirs, DiskCache::Options{roomy(verify), 4 << 20, 60 << 20}, metrics);
  };
  auto reader = open(theirs);
  auto writer = open(ours);
  reader->rescan();
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(theirs.path() / uuid / "raw")) {
    const auto block = parse_block_name(entry.path().filename().string());
    if (!block) continue;
    files++;
    std::string data(block->bytes, '\0');
    ASSERT_TRUE(reader->read(*block, 0, std::as_writable_bytes(std::span(data)))) << entry.path();
    std::string stored = read_file(entry.path());
    EXPECT_EQ(data, stored.substr(0, block->bytes));
    writer->offer(*block, chain_of(data), BlockCache::Origin::read);
    writer->drain();
    const fs::path same = ours.path() / fs::relative(entry.path(), theirs.path());
    EXPECT_EQ(read_file(same), stored) << same;
    struct stat about{};
    ASSERT_EQ(::stat(same.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0600u);
  }
  EXPECT_GT(files, 0);
  EXPECT_EQ(metrics.counter("blockcache_damaged").value(), 0);
}

INSTANTIATE_TEST_SUITE_P(Samples, Golden,
                         ::testing::Values(std::pair{"small-lz4-full", Verify::full},
                                           std::pair{"small-lz4-full", Verify::extend},
                                           std::pair{"small-lz4-none", Verify::none},
                                           std::pair{"small-aes-full", Verify::shrink}));

TEST_P(DiskCacheTest, AnyPartAtAnyLevel) {
  const std::string data = pattern(100'000);
  for (Verify verify : {Verify::none, Verify::full, Verify::shrink, Verify::extend}) {
    TempDir dir;
    Cache c = open({dir.path()}, roomy(verify));
    const BlockName block{5, 0, 100'000};
    c.put(block, data);
    for (uint32_t off : {0u, 1u, 32767u, 32768u, 40'000u, 65536u, 98304u, 99'999u}) {
      for (uint32_t size : {1u, 100u, 32768u, 70'000u, 100'000u}) {
        if (off + size > data.size()) size = static_cast<uint32_t>(data.size()) - off;
        EXPECT_EQ(c.get(block, off, size), data.substr(off, size)) << off << " " << size;
      }
    }
    EXPECT_FALSE(c.get(block, 99'999, 2));
    EXPECT_EQ(c.value("blockcache_damaged"), 0);
  }
}

// Which damage which level sees: of a byte beside what is read, in its unit, and of one that is read.
TEST(DiskCache, DamageIsAMissAndRemovesTheFile) {
  struct Case {
    Verify verify;
    uint32_t off, size, damaged_byte;
    bool seen;
  };
  const Case cases[] = {
      {Verify::extend, 40'000, 100, 40'050, true},    {Verify::extend, 40'000, 100, 65'535, true},
      {Verify::extend, 40'000, 100, 32'768, true},    {Verify::extend, 40'000, 100, 32'767, false},
      {Verify::extend, 40'000, 100, 65'536, false},   {Verify::extend, 99'000, 1000, 99'999, true},
      {Verify::shrink, 40'000, 100, 40'050, false},   {Verify::shrink, 32'768, 32'768, 40'050, true},
      {Verify::shrink, 30'000, 40'000, 40'050, true}, {Verify::shrink, 30'000, 40'000, 31'000, false},
      {Verify::full, 0, 100'000, 50'000, true},       {Verify::full, 0, 99'999, 50'000, false},
      {Verify::extend, 0, 10, 100'002, true},         {Verify::extend, 0, 100'000, 100'012, true},
  };
  const std::string data = pattern(100'000);
  for (const Case& one : cases) {
    TempDir dir;
    Cache c({dir.path()}, roomy(one.verify));
    const BlockName block{5, 0, 100'000};
    c.put(block, data);
    damage(c.raw(block), one.damaged_byte);
    const bool hit = c.get(block, one.off, one.size).has_value();
    EXPECT_EQ(hit, !one.seen) << one.off << " " << one.size << " " << one.damaged_byte;
    EXPECT_EQ(fs::exists(c.raw(block)), !one.seen);
    EXPECT_EQ(c.value("blockcache_damaged"), one.seen ? 1 : 0);
    EXPECT_EQ(c.value("blockcache_blocks"), one.seen ? 0 : 1);
  }
}

TEST_P(DiskCacheTest, AFileOfAnotherLengthIsDamaged) {
  TempDir dir;
  Cache c = open({dir.path()}, roomy());
  const BlockName block{5, 0, 100'000};
  for (uint64_t size : {0u, 99'999u, 100'004u}) {
    c.put(block, pattern(100'000));
    fs::resize_file(c.raw(block), size);
    EXPECT_FALSE(c.get(block, 0, 10)) << size;
    EXPECT_FALSE(fs::exists(c.raw(block)));
  }
}

TEST_P(DiskCacheTest, FilesThatVanishAreMissesAndFilesThatAppearAreHits) {
  TempDir dir;
  Cache c = open({dir.path()}, roomy());
  const BlockName block{5, 0, 5000};
  c.put(block, pattern(5000));
  fs::copy_file(c.raw(block), dir.path() / "kept");
  fs::remove(c.raw(block));
  EXPECT_EQ(c.cache.where(block), "");
  EXPECT_FALSE(c.get(block, 0, 10));
  EXPECT_FALSE(c.cache.contains(block));
  EXPECT_EQ(c.value("blockcache_blocks"), 0);
  EXPECT_EQ(c.value("blockcache_io_errors"), 0);
  fs::copy_file(dir.path() / "kept", c.raw(block));
  EXPECT_TRUE(c.get(block, 0, 10));
  EXPECT_EQ(c.value("blockcache_blocks"), 1);
}

TEST_P(DiskCacheTest, AnotherProcessFindsWhatIsThere) {
  TempDir dir;
  const BlockName block{5, 0, 5000};
  {
    Cache first = open({dir.path()}, roomy());
    first.put(block, pattern(5000));
  }
  Cache second = open({dir.path()}, roomy());
  second.cache.rescan();
  EXPECT_EQ(second.value("blockcache_blocks"), 1);
  EXPECT_EQ(second.get(block, 0, 5000), pattern(5000));
  // A later look notices what has gone meanwhile, and temporary files of processes that died.
  fs::remove(second.raw(block));
  const fs::path left = second.raw({6, 0, 10}).string() + ".1.2.tmp";
  std::ofstream(left) << "x";
  fs::last_write_time(left, fs::file_time_type::clock::now() - std::chrono::minutes(2));
  std::ofstream(second.raw({7, 0, 10}).string() + ".1.2.tmp") << "x";
  second.cache.rescan();
  EXPECT_EQ(second.value("blockcache_blocks"), 0);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(second.raw({7, 0, 10}).string() + ".1.2.tmp"));
}

TEST_P(DiskCacheTest, WhatIsOfferedCanBeReadAtOnceAndRemoved) {
  TempDir dir;
  Cache c = open({dir.path()}, roomy());
  const std::string data = pattern(300'000);
  for (uint64_t id = 1; id <= 50; id++) {
    const BlockName block{id, 0, 300'000};
    c.cache.offer(block, chain_of(data), BlockCache::Origin::read);
    EXPECT_EQ(c.get(block, 99'990, 150'000), data.substr(99'990, 150'000));
    c.cache.remove(block);
    EXPECT_FALSE(c.get(block, 0, 1));
  }
  c.cache.drain();
  for (uint64_t id = 1; id <= 50; id++) EXPECT_FALSE(fs::exists(c.raw({id, 0, 300'000})));
  EXPECT_EQ(c.value("blockcache_blocks"), 0);
  EXPECT_EQ(c.value("blockcache_bytes"), 0);
}

TEST_P(DiskCacheTest, SizeAndItemsAreKept) {
  for (Eviction eviction : {Eviction::two_random, Eviction::lru}) {
    TempDir dir;
    CacheOptions options = roomy();
    options.eviction = eviction;
    options.size = 50 * BlockIndex::cost(1000);
    Cache c = open({dir.path()}, options);
    for (uint64_t id = 1; id <= 300; id++) c.put({id, 0, 1000}, pattern(1000));
    EXPECT_EQ(c.value("blockcache_blocks"), 50);
    EXPECT_EQ(c.value("blockcache_evicts"), 250);
    size_t files = 0;
    for (uint64_t id = 1; id <= 300; id++) files += fs::exists(c.raw({id, 0, 1000}));
    EXPECT_EQ(files, 50u);

    TempDir other;
    options = roomy();
    options.eviction = eviction;
    options.items = 10;
    Cache few = open({other.path()}, options);
    for (uint64_t id = 1; id <= 30; id++) few.put({id, 0, 1000}, pattern(1000));
    EXPECT_EQ(few.value("blockcache_blocks"), 10);
  }
}

TEST_P(DiskCacheTest, WithoutEvictionAFullCacheTakesNothing) {
  TempDir dir;
  CacheOptions options = roomy();
  options.eviction = Eviction::none;
  options.items = 5;
  Cache c = open({dir.path()}, options);
  for (uint64_t id = 1; id <= 20; id++) c.put({id, 0, 1000}, pattern(1000));
  EXPECT_EQ(c.value("blockcache_blocks"), 6);  // until it is above its limit
  EXPECT_TRUE(c.get({1, 0, 1000}, 0, 1000));
  EXPECT_EQ(c.value("blockcache_drops"), 14);
}

TEST_P(DiskCacheTest, WhatWaitsIsWrittenBeforeTheEnd) {
  constexpr uint64_t kBlocks = 40;
  const std::string data = pattern(1 << 20);
  TempDir dir;
  {
    Cache c = open({dir.path()}, roomy());
    for (uint64_t id = 1; id <= kBlocks; id++)
      c.cache.offer({id, 0, 1 << 20}, chain_of(data), BlockCache::Origin::read);
  }
  Cache next = open({dir.path()}, roomy());
  next.cache.rescan();
  EXPECT_EQ(next.value("blockcache_blocks"), kBlocks);
}

TEST_P(DiskCacheTest, FreeSpaceIsLeft) {
  TempDir dir;
  CacheOptions options = roomy();
  options.free_ratio = 1.0;  // no disk is as empty
  Cache c = open({dir.path()}, options);
  c.put({1, 0, 1000}, pattern(1000));
  c.cache.look_after();
  EXPECT_EQ(c.value("blockcache_blocks"), 0);
  EXPECT_FALSE(fs::exists(c.raw({1, 0, 1000})));
}

TEST_P(DiskCacheTest, AdmissionByOrigin) {
  using Origin = BlockCache::Origin;
  TempDir dir;
  const uint32_t full = 4 << 20;
  const std::string data = pattern(full);
  CacheOptions options = roomy();
  Cache usual = open({dir.path()}, options);
  usual.put({1, 0, full}, data, Origin::written);
  usual.put({2, 0, 1000}, pattern(1000), Origin::written);
  usual.put({3, 0, full}, data, Origin::read);
  EXPECT_FALSE(usual.cache.contains({1, 0, full}));
  EXPECT_TRUE(usual.cache.contains({2, 0, 1000}));
  EXPECT_TRUE(usual.cache.contains({3, 0, full}));
  options.partial_only = options.large_write = true;
  Cache partial = open({dir.path()}, options);
  partial.put({4, 0, full}, data, Origin::written);
  partial.put({5, 0, full}, data, Origin::read);
  partial.put({6, 0, full}, data, Origin::asked);
  EXPECT_TRUE(partial.cache.contains({4, 0, full}));
  EXPECT_FALSE(partial.cache.contains({5, 0, full}));
  EXPECT_TRUE(partial.cache.contains({6, 0, full}));
}

TEST_P(DiskCacheTest, OnTheDiskOfTheStoreOnlyWhatSomebodyAsksFor) {
  TempDir dir;
  CacheOptions options = roomy();
  options.only_asked = options.large_write = true;
  Cache c = open({dir.path()}, options);
  EXPECT_FALSE(c.cache.takes_reads());
  uint64_t id = 1;
  using Origin = BlockCache::Origin;
  for (const Origin origin : {Origin::written, Origin::read, Origin::ahead}) {
    c.put({id, 0, 1000}, pattern(1000), origin);
    EXPECT_FALSE(c.cache.contains({id++, 0, 1000}));
  }
  c.put({id, 0, 1000}, pattern(1000), Origin::asked);
  EXPECT_TRUE(c.cache.contains({id, 0, 1000}));
}

TEST_P(DiskCacheTest, SeveralDirectoriesShareTheBlocks) {
  TempDir dir;
  std::vector<std::string> folders;
  for (const char* name : {"a", "b", "c"}) folders.push_back(dir.path() / name);
  Cache c = open(folders, roomy());
  std::vector<size_t> count(3);
  for (uint64_t id = 1; id <= 60; id++) {
    c.put({id, 0, 100}, pattern(100));
    count[c.dirs->place({id, 0, 100})]++;
    EXPECT_TRUE(fs::exists(c.raw({id, 0, 100})));
  }
  for (size_t n : count) EXPECT_GT(n, 5u);
  // One goes down: its blocks belong to the others from then on, and to it again once it is back.
  (*c.dirs)[1].health().set_down("test");
  c.dirs->refresh();
  for (uint64_t id = 1; id <= 60; id++) EXPECT_NE(c.dirs->place({id, 0, 100}), 1u);
  (*c.dirs)[1].health().set_normal();
  c.dirs->refresh();
  for (uint64_t id = 1; id <= 60; id++) EXPECT_TRUE(c.get({id, 0, 100}, 0, 100));
}

TEST_P(DiskCacheTest, BlocksAreInMemoryWhileNoDirectoryIsUsable) {
  TempDir dir;
  Cache c = open({dir.path()}, roomy());
  (*c.dirs)[0].health().set_down("test");
  c.dirs->refresh();
  c.put({1, 0, 1000}, pattern(1000));
  EXPECT_EQ(c.get({1, 0, 1000}, 10, 50), pattern(1000).substr(10, 50));
  EXPECT_EQ(c.cache.where({1, 0, 1000}), "memory");
  EXPECT_FALSE(fs::exists((*c.dirs)[0].raw({1, 0, 1000}).c_str()));
}

TEST_P(DiskCacheTest, ADirectoryThatWasRemovedIsMadeAgain) {
  TempDir dir;
  Cache c = open({dir.path() / "cache"}, roomy());
  c.put({1, 0, 1000}, pattern(1000));
  const std::string id = (*c.dirs)[0].id();
  fs::remove_all(dir.path() / "cache");
  EXPECT_FALSE(c.get({2, 0, 1000}, 0, 1000));
  c.put({3, 0, 1000}, pattern(1000));
  c.cache.look_after();
  EXPECT_TRUE(c.get({3, 0, 1000}, 0, 1000));
  EXPECT_EQ(read_file(dir.path() / "cache" / kUuid / ".lock"), id);
  EXPECT_TRUE((*c.dirs)[0].health().usable());
}

TEST_P(DiskCacheTest, AnotherDirectoryInItsPlaceIsNotTouched) {
  TempDir dir;
  Cache c = open({dir.path()}, roomy());
  std::ofstream(dir.path() / kUuid / ".lock", std::ios::trunc) << "another";
  c.cache.look_after();
  EXPECT_FALSE((*c.dirs)[0].health().usable());
  c.put({1, 0, 1000}, pattern(1000));
  EXPECT_EQ(c.cache.where({1, 0, 1000}), "memory");
}

// As root: a disk that is full, and one that becomes read-only.
TEST_P(DiskCacheTest, ASmallDiskThatFillsAndOneThatIsReadOnly) {
  TempDir dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "cannot mount a tmpfs";
  {
    Cache c = open({dir.path()}, roomy());
    for (uint64_t id = 1; id <= 20; id++) c.put({id, 0, 100'000}, pattern(100'000));
    EXPECT_GT(c.value("blockcache_io_errors"), 0);
    EXPECT_GE(c.value("blockcache_blocks"), 5);
    EXPECT_EQ(c.get({1, 0, 100'000}, 0, 100'000), pattern(100'000));
    EXPECT_FALSE(c.get({20, 0, 100'000}, 0, 10));
    for (const auto& entry : fs::recursive_directory_iterator(dir.path()))
      EXPECT_NE(entry.path().extension(), ".tmp");
    ASSERT_EQ(::mount(nullptr, dir.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
    EXPECT_TRUE(c.get({1, 0, 100'000}, 0, 100'000));
    c.put({21, 0, 1000}, pattern(1000));
    EXPECT_FALSE(c.get({21, 0, 1000}, 0, 10));
  }
  ::umount(dir.path().c_str());
}

TEST_P(DiskCacheTest, StagedBlocksStayUntilTheyAreUploaded) {
  TempDir dir;
  CacheOptions options = roomy();
  options.items = 1;
  Cache c = open({dir.path()}, options);
  const BlockName block{1, 0, 1000};
  const std::string path((*c.dirs)[0].staging(block));
  ASSERT_TRUE((*c.dirs)[0].store(path.c_str(), block, chain_of(pattern(1000)), {}));
  c.cache.staged(block, 0, path.c_str());
  for (uint64_t id = 2; id <= 20; id++) c.put({id, 0, 1000}, pattern(1000));
  EXPECT_EQ(c.get(block, 0, 1000), pattern(1000));
  EXPECT_EQ(fs::hard_link_count(path), 2u);
  c.cache.uploaded(block, 0);
  for (uint64_t id = 21; id <= 60; id++) c.put({id, 0, 1000}, pattern(1000));
  EXPECT_FALSE(fs::exists(c.raw(block)));
  EXPECT_TRUE(fs::exists(path));
}

TEST_P(DiskCacheTest, ManyThreadsReadWriteRemoveAndEvict) {
  TempDir dir;
  CacheOptions options = roomy();
  options.size = 100 * BlockIndex::cost(40'000);
  Cache c = open({(dir.path() / "a").string(), (dir.path() / "b").string()}, options, /*start=*/true);
  std::vector<std::jthread> threads;
  std::atomic<int> hits{0};
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      uint64_t x = t + 1;
      for (int i = 0; i < 1000; i++) {
        x = x * 6364136223846793005 + 1442695040888963407;
        const uint64_t id = x >> 40 & 255;
        const BlockName block{id, 0, 40'000};
        const std::string data = pattern(40'000, id);
        if (auto got = c.get(block, 20'000, 15'000)) {
          EXPECT_EQ(*got, data.substr(20'000, 15'000));
          hits++;
        } else {
          c.cache.offer(block, chain_of(data), BlockCache::Origin::read);
        }
        if (i % 50 == 0) c.cache.remove(block);
        if (i % 300 == 0) c.cache.rescan();
      }
    });
  }
  threads.clear();
  EXPECT_GT(hits, 0);
  c.cache.drain();
  EXPECT_EQ(c.value("blockcache_damaged"), 0);
}

TEST_P(DiskCacheTest, OnlyPlainFilesShowTheirText) {
  TempDir dir;
  Cache c = open({dir.path()}, roomy());
  std::string text;
  while (text.size() < 90'000) text += "what nobody shall read ";
  c.put({1, 0, static_cast<uint32_t>(text.size())}, text);
  bool found = false;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
    found |= entry.is_regular_file() && read_file(entry.path()).find("nobody shall") != std::string::npos;
  }
  EXPECT_EQ(found, GetParam() == BlockForm::plain);
}

TEST(MemoryCache, KeepsToItsSize) {
  MetricSet metrics;
  MemoryCache::Options options;
  options.size = 10 * BlockIndex::cost(1000);
  MemoryCache cache(options, metrics);
  for (uint64_t id = 1; id <= 50; id++)
    cache.offer({id, 0, 1000}, chain_of(pattern(1000, id)), BlockCache::Origin::read);
  EXPECT_EQ(metrics.counter("blockcache_blocks").value(), 10);
  int hits = 0;
  for (uint64_t id = 1; id <= 50; id++) {
    std::string out(500, '\0');
    if (!cache.read({id, 0, 1000}, 500, std::as_writable_bytes(std::span(out)))) continue;
    hits++;
    EXPECT_EQ(out, pattern(1000, id).substr(500));
  }
  EXPECT_EQ(hits, 10);
}

}  // namespace
}  // namespace cider::chunk
