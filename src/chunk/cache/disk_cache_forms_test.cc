// Plain and encrypted blocks in one cache directory, and what is wrong with encrypted ones.
#include <gtest/gtest.h>

#include "chunk/cache/sealed_file.h"
#include "chunk/testing/disk_cache.h"
#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using namespace testing;
namespace fs = std::filesystem;

// What is wrong with an encrypted file: a miss, after which the block can be cached again.
TEST(DiskCache, DamageOfSealedFilesIsAMiss) {
  const std::string data = pattern(100'000);
  const BlockName block{5, 0, 100'000};
  const BlockName other{6, 0, 100'000};
  TempDir dir;
  Cache c({dir.path()}, roomy(Verify::none), false, BlockForm::sealed);
  const auto miss = [&](const char* what, auto&& harm) {
    c.put(block, data);
    c.put(other, pattern(100'000, 6));
    harm();
    Cache next({dir.path()}, roomy(Verify::none), false, BlockForm::sealed);
    next.cache.rescan();
    EXPECT_FALSE(next.get(block, 40'000, 100)) << what;
    EXPECT_FALSE(fs::exists(next.raw(block))) << what;
    EXPECT_EQ(next.value("blockcache_damaged"), 1) << what;
    next.put(block, data);
    EXPECT_EQ(next.get(block, 40'000, 100), data.substr(40'000, 100)) << what;
    c.cache.remove(block);
  };
  miss("a bit of the unit", [&] { damage(c.raw(block), sealed_unit_offset(1) + 8000); });
  miss("a bit of its tag", [&] { damage(c.raw(block), sealed_unit_offset(2) - 1); });
  miss("a bit of the salt", [&] { damage(c.raw(block), 10); });
  miss("cut off", [&] { fs::resize_file(c.raw(block), sealed_file_size(100'000) - 1); });
  miss("without its last unit", [&] { fs::resize_file(c.raw(block), sealed_unit_offset(3)); });
  miss("another block's file",
       [&] { fs::copy_file(c.raw(other), c.raw(block), fs::copy_options::overwrite_existing); });
  miss("sealed with another key", [&] {
    const AeadKey key = *AeadKey::random();
    fs::remove(c.raw(block));
    ASSERT_TRUE(write_sealed_file(c.raw(block).c_str(), chain_of(data), key, "chunks/0/0/5_0_100000", {}));
  });
  miss("a plain file", [&] {
    fs::remove(c.raw(block));
    ASSERT_TRUE(write_block_file(c.raw(block).c_str(), chain_of(data), {}));
  });
}

// Each kind has folders of its own.
TEST(DiskCache, FormsDoNotMeet) {
  const BlockName block{5, 0, 1000};
  TempDir dir;
  Cache plain({dir.path()}, roomy());
  Cache sealed({dir.path()}, roomy(), false, BlockForm::sealed);
  EXPECT_EQ((*plain.dirs)[0].id(), (*sealed.dirs)[0].id());
  plain.put(block, pattern(1000));
  EXPECT_FALSE(sealed.get(block, 0, 1000));
  sealed.put(block, pattern(1000));
  plain.cache.remove(block);
  EXPECT_EQ(sealed.get(block, 0, 1000), pattern(1000));
  EXPECT_FALSE(plain.get(block, 0, 1000));
}

}  // namespace
}  // namespace cider::chunk
