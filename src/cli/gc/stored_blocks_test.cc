#include "cli/gc/stored_blocks.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "cli/gc/compactor.h"

namespace cider::cli {
namespace {

constexpr uint32_t kBlock = 64 << 10;

class StoredBlocksTest : public ::testing::TestWithParam<bool> {
 protected:
  StoredBlocksTest() {
    layout_.block_size = kBlock;
    layout_.hash_prefix = GetParam();
  }
  void put(const std::string& key, size_t size = 10) {
    Buffer buffer = Buffer::allocate(size, nullptr);
    std::memset(buffer.mutable_data(), 1, size);
    ASSERT_TRUE(store_->put(key, {buffer}, {}));
  }
  void put(uint64_t slice, uint32_t index, uint32_t bytes) {
    put(chunk::block_key(layout_, slice, index, bytes));
  }
  StoredBlocks list(int64_t newest = INT32_MAX) {
    return list_blocks(*store_, layout_, Time{newest, 0}).value();
  }
  BlockUse use(uint64_t slice, uint32_t index, uint32_t bytes) {
    StoredBlock block{.slice = slice};
    block.index = index;
    block.bytes = bytes;
    return use_of(block, slices_, layout_);
  }

  std::unique_ptr<object::ObjectStore> store_ = object::open_store({.storage = "mem", .bucket = "b"}).value();
  chunk::Layout layout_;
  meta::SliceTable slices_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, StoredBlocksTest, ::testing::Bool());

TEST_P(StoredBlocksTest, BlocksAreListedAndOthersLeftAlone) {
  put(1, 0, kBlock);
  put(1, 1, 5);
  put(123'456'789, 1023, 7);
  for (const char* key : {"juicefs_uuid", "meta/dump-1", "chunks/0/0/12", "chunks/1_0_5", "chunks/0/7/1_0_5",
                          "chunks/0/0/1_0_5.tmp", "chunks/0/0/01_0_5"})
    put(key);
  const StoredBlocks found = list();
  EXPECT_EQ(found.scanned, 3u);
  EXPECT_EQ(found.other, 5u);
  std::set<std::string> keys;
  for (const StoredBlock& block : found.blocks) {
    keys.insert(key_of(block, layout_));
    EXPECT_EQ(block.object_size, 10u);
  }
  EXPECT_EQ(keys, (std::set{chunk::block_key(layout_, 1, 0, kBlock), chunk::block_key(layout_, 1, 1, 5),
                            chunk::block_key(layout_, 123'456'789, 1023, 7)}));

  EXPECT_EQ(remove_blocks(*store_, layout_, {found.blocks.begin(), found.blocks.end()}, 3), 0u);
  EXPECT_EQ(list().scanned, 0u);
  EXPECT_TRUE(store_->head("juicefs_uuid"));
}

TEST_P(StoredBlocksTest, YoungBlocksArePassedOver) {
  put(1, 0, kBlock);
  const StoredBlocks found = list(1'000'000'000);
  EXPECT_TRUE(found.blocks.empty());
  EXPECT_EQ(found.skipped.count, 1u);
  EXPECT_EQ(found.skipped.bytes, 10u);
}

TEST_P(StoredBlocksTest, ABlockIsLeakedWhenNothingNamesIt) {
  slices_.add_record({0, 10, 2 * kBlock + 100, 0, 50});
  slices_.add_delayed({11, 100});
  slices_.add_count({12, 100, 0});
  slices_.add_count({13, 100, 2});
  slices_.add_delayed({14, 100});
  slices_.add_record({0, 14, 100, 0, 100});
  slices_.finish();
  EXPECT_EQ(use(10, 0, kBlock), BlockUse::in_file);
  EXPECT_EQ(use(10, 1, kBlock), BlockUse::in_file);
  EXPECT_EQ(use(10, 2, 100), BlockUse::in_file);
  EXPECT_EQ(use(10, 2, kBlock), BlockUse::leaked);
  EXPECT_EQ(use(10, 2, 99), BlockUse::leaked);
  EXPECT_EQ(use(10, 3, 100), BlockUse::leaked);
  EXPECT_EQ(use(10, 0, 100), BlockUse::leaked);
  EXPECT_EQ(use(11, 0, 100), BlockUse::replaced);
  EXPECT_EQ(use(12, 0, 100), BlockUse::pending);
  EXPECT_EQ(use(13, 0, 100), BlockUse::in_file) << "somebody counts it";
  EXPECT_EQ(use(14, 0, 100), BlockUse::in_file);
  EXPECT_EQ(use(9, 0, 100), BlockUse::leaked);
}

TEST_P(StoredBlocksTest, SparsePacksAreOldSlicesOfOneBlock) {
  const auto add = [&](uint64_t id, uint32_t size, std::initializer_list<uint32_t> lengths) {
    for (uint32_t len : lengths) slices_.add_record({0, id, size, 0, len});
  };
  add(1, 1000, {200, 299});        // sparse
  add(2, 1000, {200, 300});        // half of it
  add(3, 2 * kBlock, {10});        // not one block
  add(4, 1000, {10});              // young: not listed
  slices_.add_delayed({5, 1000});  // nobody has it
  add(6, kBlock, {100});           // sparse
  slices_.finish();
  for (const auto& [id, size] : {std::pair(1, 1000u), {2, 1000u}, {3, kBlock}, {5, 1000u}, {6, kBlock}})
    put(static_cast<uint64_t>(id), 0, size);
  EXPECT_EQ(find_sparse_packs(list(), slices_, layout_), (SparsePacks{{1, 1000}, {6, kBlock}}));
}

}  // namespace
}  // namespace cider::cli
