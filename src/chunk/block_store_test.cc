#include "chunk/block_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/testing/fixtures.h"
#include "object/object_store.h"
#include "object/testing/faulty_store.h"

namespace cider::chunk {
namespace {

namespace fs = std::filesystem;

TEST(BlockKey, AsTheFormatHasIt) {
  Layout plain;
  EXPECT_EQ(block_key(plain, 1, 0, 130), "chunks/0/0/1_0_130");
  EXPECT_EQ(block_key(plain, 1234567890, 3, 4194304), "chunks/1234/1234567/1234567890_3_4194304");
  EXPECT_EQ(block_key(plain, UINT64_MAX, 1023, 65536),
            "chunks/18446744073709/18446744073709551/18446744073709551615_1023_65536");
  Layout hashed{.hash_prefix = true};
  EXPECT_EQ(block_key(hashed, 10, 0, 5), "chunks/0A/0/10_0_5");
  EXPECT_EQ(block_key(hashed, 1000511, 2, 5), "chunks/3F/1/1000511_2_5");
}

TEST(BlockLength, LastBlockIsTheRest) {
  Layout layout{.block_size = 100};
  EXPECT_EQ(block_length(layout, 250, 0), 100u);
  EXPECT_EQ(block_length(layout, 250, 2), 50u);
  EXPECT_EQ(block_length(layout, 250, 3), 0u);
  EXPECT_EQ(block_length(layout, 200, 1), 100u);
  EXPECT_EQ(block_length(layout, 200, 2), 0u);
}

// Each object that JuiceFS wrote has the name that we would give it.
TEST(BlockKey, NamesOfObjectsInTheFixtures) {
  CIDER_FIXTURE(fixtures, "");
  int seen = 0;
  int hashed = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fixtures)) {
    std::string path = entry.path();
    size_t objects = path.find("/objects/");
    size_t chunks = path.find("/chunks/");
    if (!entry.is_regular_file() || objects == path.npos || chunks == path.npos) continue;
    std::string key = path.substr(chunks + 1);
    unsigned long long id;
    unsigned index, bytes;
    std::string name = entry.path().filename();
    ASSERT_EQ(std::sscanf(name.c_str(), "%llu_%u_%u", &id, &index, &bytes), 3) << path;
    Layout layout{.hash_prefix = path.find("/small-hashprefix/") != path.npos};
    EXPECT_EQ(block_key(layout, id, index, bytes), key) << path;
    seen++;
    hashed += layout.hash_prefix;
    bool plain =
        path.find("/main-") != path.npos || path.find("/small-bs64k/") != path.npos || layout.hash_prefix;
    if (plain) {
      EXPECT_EQ(entry.file_size(), bytes) << path;
    }
  }
  EXPECT_GT(seen, 100);
  EXPECT_GT(hashed, 0);
}

class BlockStoreTest : public ::testing::Test {
 protected:
  BlockStoreTest()
      : store_(std::move(*object::open_store({"mem", ""}))), blocks_(store_, Layout{.block_size = 100}) {}

  BufferChain chain(const std::string& bytes) {
    Buffer buffer = Buffer::allocate(bytes.size(), nullptr);
    std::memcpy(buffer.mutable_data(), bytes.data(), bytes.size());
    return {buffer};
  }
  std::string read(uint32_t off, size_t len, uint32_t size = 250) {
    std::string out(len, '?');
    Status status = blocks_.read(5, size, off, std::as_writable_bytes(std::span(out)), {});
    return status ? out : "error " + std::to_string(status.error().code);
  }

  object::testing::FaultyStore store_;
  BlockStore blocks_;
};

TEST_F(BlockStoreTest, ReadsAcrossBlocks) {
  std::string bytes;
  for (int i = 0; i < 250; i++) bytes += static_cast<char>(i);
  for (uint32_t i = 0; i < 3; i++)
    ASSERT_TRUE(blocks_.write_block(5, i, chain(bytes.substr(i * 100, 100)), {}));
  EXPECT_EQ(read(0, 250), bytes);
  EXPECT_EQ(read(95, 110), bytes.substr(95, 110));
  EXPECT_EQ(read(249, 1), bytes.substr(249));
  EXPECT_EQ(read(200, 51), "error " + std::to_string(EIO));      // beyond the slice
  EXPECT_EQ(read(0, 1, 50), "error " + std::to_string(ENOENT));  // another size names other objects
  EXPECT_FALSE(blocks_.is_damaged(5, 250, 240));

  ASSERT_TRUE(blocks_.remove_slice(5, 250));
  EXPECT_EQ(store_.list("", "", 10)->size(), 0u);
  EXPECT_TRUE(blocks_.remove_slice(5, 250));
}

TEST_F(BlockStoreTest, TruncatedBlockIsDamaged) {
  ASSERT_TRUE(store_.put(block_key(blocks_.layout(), 5, 0, 100), chain("short"), {}));
  EXPECT_EQ(read(0, 10), "error " + std::to_string(EIO));
  EXPECT_TRUE(blocks_.is_damaged(5, 250, 0));
  EXPECT_FALSE(blocks_.is_damaged(5, 250, 100));  // missing is not damaged
}

TEST_F(BlockStoreTest, SyncsEveryBlock) {
  BlockStore::SliceRef slices[] = {{5, 250}, {6, 100}};
  ASSERT_TRUE(blocks_.sync(slices));
  EXPECT_EQ(store_.calls(object::testing::FaultyStore::Op::sync), 4);
}

}  // namespace
}  // namespace cider::chunk
