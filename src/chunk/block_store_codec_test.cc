// Compressed blocks in a store.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "chunk/block_store.h"
#include "chunk/testing/harness.h"
#include "object/testing/faulty_store.h"

namespace cider::chunk {
namespace {

using object::testing::FaultyStore;

constexpr uint32_t kBlock = 64 << 10;

BufferChain chain(const std::string& bytes, size_t piece = SIZE_MAX) {
  BufferChain data;
  for (size_t at = 0; at < bytes.size(); at += data.back().size()) {
    data.push_back(Buffer::allocate(std::min(piece, bytes.size() - at), nullptr));
    std::memcpy(data.back().mutable_data(), bytes.data() + at, data.back().size());
  }
  return data;
}

class CompressedBlocks : public ::testing::TestWithParam<const char*> {
 protected:
  CompressedBlocks()
      : store_(std::move(*object::open_store({"mem", ""}))),
        blocks_(store_, {.block_size = kBlock, .codec = *find_codec(GetParam()), .whole_objects = true},
                &budget_) {}

  std::string read(uint32_t size, uint32_t off, size_t len) {
    std::string out(len, '?');
    Status status = blocks_.read(5, size, off, std::as_writable_bytes(std::span(out)), {});
    return status ? out : "error " + std::to_string(status.error().code);
  }
  std::string key(uint32_t index, uint32_t length) { return block_key(blocks_.layout(), 5, index, length); }

  MemoryBudget budget_{1 << 20};
  FaultyStore store_;
  BlockStore blocks_;
};
INSTANTIATE_TEST_SUITE_P(Codecs, CompressedBlocks, ::testing::Values("lz4", "zstd"),
                         [](const auto& codec) { return std::string(codec.param); });

TEST_P(CompressedBlocks, AreReadWholeAndInParts) {
  const std::string first(kBlock, 'a');
  std::string second(1000, '\0');  // becomes longer
  std::ranges::generate(second, [random = std::mt19937(1)]() mutable { return static_cast<char>(random()); });
  ASSERT_TRUE(blocks_.write_block(5, 0, chain(first), {}));
  ASSERT_TRUE(blocks_.write_block(5, 1, chain(second, 300), {}));
  EXPECT_LT(store_.head(key(0, kBlock))->size, 1000u);
  EXPECT_GT(store_.head(key(1, 1000))->size, 1000u);

  const std::string all = first + second;
  EXPECT_TRUE(read(kBlock + 1000, 0, all.size()) == all);
  EXPECT_TRUE(read(kBlock + 1000, kBlock, 1000) == second);
  EXPECT_TRUE(read(kBlock + 1000, kBlock - 10, 30) == all.substr(kBlock - 10, 30));
  EXPECT_TRUE(read(kBlock + 1000, kBlock + 999, 1) == all.substr(kBlock + 999));
  EXPECT_FALSE(blocks_.is_damaged(5, kBlock + 1000, kBlock));
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_P(CompressedBlocks, DamageIsToldFromOtherErrors) {
  ASSERT_TRUE(blocks_.write_block(5, 0, chain(std::string(1000, 'x')), {}));
  const std::string good = *store_.get_all(key(0, 1000), 1 << 20, {});
  const std::string bad = "error " + std::to_string(EBADMSG);

  ASSERT_TRUE(store_.put(key(0, 1000), chain(good.substr(0, good.size() - 1)), {}));
  EXPECT_EQ(read(1000, 0, 1000), bad);
  EXPECT_EQ(read(1000, 10, 10), bad);
  EXPECT_TRUE(blocks_.is_damaged(5, 1000, 10));
  ASSERT_TRUE(store_.put(key(0, 1000), chain("no such format"), {}));
  EXPECT_TRUE(blocks_.is_damaged(5, 1000, 0));
  ASSERT_TRUE(store_.put(key(0, 1000), chain(testing::pattern(5000)), {}));  // longer than any such block
  EXPECT_EQ(read(1000, 0, 1000), bad);
  // A good object under the name of another length.
  ASSERT_TRUE(store_.put(key(0, 999), chain(good), {}));
  EXPECT_EQ(read(999, 0, 999), bad);

  EXPECT_EQ(read(1001, 0, 1), "error " + std::to_string(ENOENT));
  EXPECT_FALSE(blocks_.is_damaged(5, 1001, 0));
  store_.set_rule([](const FaultyStore::Call&) { return FaultyStore::Verdict{.code = ETIMEDOUT}; });
  EXPECT_EQ(read(1000, 0, 1000), "error " + std::to_string(ETIMEDOUT));
  EXPECT_FALSE(blocks_.is_damaged(5, 1000, 0));
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_P(CompressedBlocks, DamageNamesTheObject) {
  ASSERT_TRUE(store_.put(key(0, 1000), chain("?"), {}));
  std::byte any;
  Status status = blocks_.read(5, 1000, 0, {&any, 1}, {});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find(key(0, 1000)), std::string::npos) << status.error().message;
}

// However full the memory is, blocks are stored and read.
TEST_P(CompressedBlocks, FullMemoryStopsNothing) {
  budget_.charge(10 << 20);
  ASSERT_TRUE(blocks_.write_block(5, 0, chain(std::string(kBlock, 'a'), 1000), {}));
  EXPECT_EQ(read(kBlock, 5, 3), "aaa");
  budget_.release(10 << 20);
}

// Encrypted blocks, as an encrypting store gives them: whole ones only, checked by their length.
TEST(WholeBlocks, WithoutCodec) {
  FaultyStore store(std::move(*object::open_store({"mem", ""})));
  BlockStore blocks(store, {.block_size = kBlock, .whole_objects = true});
  const std::string block = testing::pattern(1000);
  ASSERT_TRUE(blocks.write_block(5, 0, chain(block, 300), {}));
  std::string out(100, '?');
  ASSERT_TRUE(blocks.read(5, 1000, 450, std::as_writable_bytes(std::span(out)), {}));
  EXPECT_EQ(out, block.substr(450, 100));
  std::string whole(1000, '?');
  ASSERT_TRUE(blocks.read(5, 1000, 0, std::as_writable_bytes(std::span(whole)), {}));
  EXPECT_TRUE(whole == block);
  EXPECT_FALSE(blocks.is_damaged(5, 1000, 0));

  for (size_t size : {0, 999, 1001}) {
    ASSERT_TRUE(store.put(block_key(blocks.layout(), 5, 0, 1000), chain(testing::pattern(size)), {}));
    EXPECT_EQ(code_of(blocks.read(5, 1000, 450, std::as_writable_bytes(std::span(out)), {})), EBADMSG);
    EXPECT_TRUE(blocks.is_damaged(5, 1000, 450));
  }
}

}  // namespace
}  // namespace cider::chunk
