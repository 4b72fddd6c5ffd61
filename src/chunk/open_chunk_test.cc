#include "chunk/open_chunk.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>

namespace cider::chunk {
namespace {

constexpr uint32_t kBlock = 1000;

Buffer bytes(size_t size, char c, size_t footprint = 0) {
  Buffer buffer = Buffer::allocate(std::max(size, footprint), nullptr);
  std::memset(buffer.mutable_data(), c, size);
  return buffer.slice(0, size);
}

std::string content(const PendingSlice& slice) {
  std::string out;
  for (const auto& block : slice.blocks) {
    for (const Buffer& piece : block.data) out += piece.text();
  }
  return out;
}

TEST(OpenChunk, CutsBlocksAsTheyFill) {
  OpenChunk chunk(kBlock, nullptr, {});
  std::vector<BlockUpload> full;
  chunk.write(500, bytes(999, 'a'), {}, full);
  EXPECT_TRUE(full.empty());
  EXPECT_EQ(chunk.open_bytes(), 999u);
  chunk.write(1499, bytes(2, 'b'), {}, full);
  ASSERT_EQ(full.size(), 1u);
  EXPECT_EQ(full[0].slice->pos, 500u);
  EXPECT_EQ(chunk.open_bytes(), 1u);
  chunk.write(1501, bytes(2500, 'c'), {}, full);
  ASSERT_EQ(full.size(), 3u);
  EXPECT_EQ(full[2].slice, full[0].slice);
  EXPECT_EQ(full[2].index, 2u);
  EXPECT_EQ(chunk.end(), 4001u);
  auto slices = chunk.freeze(full);
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0]->len, 3501u);
  EXPECT_EQ(full.back().index, 3u);
  EXPECT_EQ(slices[0]->blocks[3].bytes, 501u);
}

TEST(OpenChunk, SeparateRunsBecomeSeparateSlices) {
  OpenChunk chunk(kBlock, nullptr, {});
  std::vector<BlockUpload> uploads;
  for (uint32_t pos : {900u, 100u, 500u, 110u}) chunk.write(pos, bytes(10, 'x'), {}, uploads);
  auto slices = chunk.freeze(uploads);
  std::set<std::pair<uint32_t, uint32_t>> runs;
  for (const auto& slice : slices) runs.emplace(slice->pos, slice->len);
  EXPECT_EQ(runs, (std::set<std::pair<uint32_t, uint32_t>>{{100, 20}, {500, 10}, {900, 10}}));
}

size_t held(const OpenChunk& chunk) {
  size_t total = 0;
  for (const auto& [begin, range] : chunk.pieces().ranges()) total += range.value.data.footprint();
  return total;
}

TEST(OpenChunk, SmallWritesDoNotHoldLargeBuffers) {
  OpenChunk chunk(4 << 20, nullptr, {});
  std::vector<BlockUpload> uploads;
  chunk.write(0, bytes(100, 'x', 1 << 20), {}, uploads);
  EXPECT_LE(held(chunk), 4096u);
  for (uint32_t i = 1; i < 100; i++) chunk.write(i * 100, bytes(100, 'y', 1 << 20), {}, uploads);
  EXPECT_LE(held(chunk), 100'000u);
  EXPECT_LE(chunk.pieces().ranges().size(), 5u);  // neighbours were joined
}

TEST(OpenChunk, WhatIsLeftOfACoveredBufferDoesNotHoldAllOfIt) {
  OpenChunk chunk(16 << 20, nullptr, {});
  std::vector<BlockUpload> uploads;
  for (uint32_t i = 0; i < 100; i++) chunk.write(i * 4096, bytes(1 << 20, static_cast<char>(i)), {}, uploads);
  EXPECT_EQ(chunk.open_bytes(), (1u << 20) + 99 * 4096);
  EXPECT_LE(held(chunk), 100u * (64 << 10) + (2 << 20));
}

// Whatever the order of writes, painting the slices in commit order gives what the writes gave, and blocks
// have the sizes that the format wants.
TEST(OpenChunk, SlicesInOrderShowTheWrites) {
  constexpr uint32_t kSize = 12'000;
  for (unsigned seed = 0; seed < 500; seed++) {
    std::mt19937 random(seed);
    OpenChunk chunk(kBlock, nullptr, {});
    std::vector<BlockUpload> uploads;
    std::string model(kSize, '\0');
    uint32_t buffered = 0;
    uint32_t sequential = 0;
    for (unsigned i = 0; i < 5 + random() % 60; i++) {
      uint32_t pos = random() % 2 ? random() % kSize : std::min(sequential, kSize - 1);
      uint32_t len = 1 + random() % std::min(random() % 3 ? 300u : 3000u, kSize - pos);
      char c = static_cast<char>('!' + i);
      size_t cut_before = uploads.size();
      uint32_t replaced = chunk.write(pos, bytes(len, c), {}, uploads);
      buffered += len - replaced;
      for (size_t u = cut_before; u < uploads.size(); u++)
        buffered -= uploads[u].slice->blocks[uploads[u].index].bytes;
      ASSERT_EQ(buffered, chunk.open_bytes());
      model.replace(pos, len, len, c);
      sequential = pos + len;
    }
    auto slices = chunk.freeze(uploads);
    EXPECT_EQ(chunk.open_bytes(), 0u);
    std::string shown(kSize, '\0');
    size_t blocks = 0;
    for (const auto& slice : slices) {
      std::string text = content(*slice);
      ASSERT_EQ(text.size(), slice->len);
      ASSERT_EQ(slice->unstored, static_cast<int>(slice->blocks.size()));
      for (size_t b = 0; b < slice->blocks.size(); b++) {
        bool last = b + 1 == slice->blocks.size();
        ASSERT_TRUE(slice->blocks[b].bytes == kBlock || (last && slice->blocks[b].bytes < kBlock))
            << "seed " << seed;
      }
      blocks += slice->blocks.size();
      shown.replace(slice->pos, text.size(), text);
    }
    ASSERT_EQ(shown, model) << "seed " << seed;
    ASSERT_EQ(blocks, uploads.size()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace cider::chunk
