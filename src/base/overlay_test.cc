#include "base/overlay.h"

#include <gtest/gtest.h>

#include <random>

namespace cider {
namespace {

// One cell per byte: which slice byte is seen there.
struct Cell {
  bool covered = false;
  uint64_t id = 0;
  uint32_t at = 0;
  bool operator==(const Cell&) const = default;
};

void paint(std::vector<Cell>* cells, const Slice& part) {
  for (uint32_t i = 0; i < part.len; ++i) {
    (*cells)[part.pos + i] = Cell{true, part.id, part.id == 0 ? 0 : part.off + i};
  }
}

TEST(Overlay, EqualsPaintingByteByByte) {
  constexpr uint32_t kLength = 64;
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    std::vector<Slice> records;
    std::vector<Cell> expected(kLength);
    for (int n = random() % 12; n > 0; --n) {
      uint32_t pos = random() % kLength;
      uint32_t len = random() % (kLength - pos + 1);
      uint64_t id = random() % 4;
      records.push_back(Slice{pos, id, 1000, id == 0 ? 0 : static_cast<uint32_t>(random() % 100), len});
      paint(&expected, records.back());
    }
    std::vector<Slice> parts = visible_parts(records);
    std::vector<Cell> seen(kLength);
    uint32_t end = 0;
    for (const Slice& part : parts) {
      ASSERT_GE(part.pos, end);
      ASSERT_GT(part.len, 0u);
      end = part.pos + part.len;
      paint(&seen, part);
    }
    ASSERT_EQ(seen, expected);
  }
}

TEST(Overlay, FilledPartsCoverTheRangeExactly) {
  std::vector<Slice> records{{10, 7, 20, 0, 20}, {15, 8, 4, 0, 4}};
  std::vector<Slice> parts = filled_parts(records, 0, 40);
  uint32_t at = 0;
  for (const Slice& part : parts) {
    EXPECT_EQ(part.pos, at);
    at += part.len;
  }
  EXPECT_EQ(at, 40u);
  ASSERT_EQ(parts.size(), 5u);
  EXPECT_EQ(parts[0].id, 0u);
  EXPECT_EQ(parts[1], (Slice{10, 7, 20, 0, 5}));
  EXPECT_EQ(parts[2], (Slice{15, 8, 4, 0, 4}));
  EXPECT_EQ(parts[3], (Slice{19, 7, 20, 9, 11}));
}

TEST(Overlay, RecordsThatMakeNoSenseAreCut) {
  std::vector<Slice> records = {
      {.pos = static_cast<uint32_t>(kChunkSize) - 5,
       .id = 1,
       .size = 100,
       .off = 0,
       .len = 100},                                           // beyond the chunk
      {.pos = 0, .id = 2, .size = 10, .off = 4, .len = 100},  // beyond the slice
      {.pos = 50, .id = 3, .size = 10, .off = 11, .len = 1},
      {.pos = 60, .id = 4, .size = 10, .off = 0, .len = 0},
      {.pos = 0xffffffff, .id = 5, .size = 10, .off = 0, .len = 10},
  };
  Overlay overlay(records);
  EXPECT_EQ(overlay.records(), 5u);
  auto head = overlay.extents(0, 100);
  std::vector<Slice> expected = {{0, 2, 10, 4, 6}, {6, 0, 0, 0, 94}};
  EXPECT_EQ(head, expected);
  auto tail = overlay.extents(kChunkSize - 5, kChunkSize);
  ASSERT_EQ(tail.size(), 1u);
  EXPECT_EQ(tail[0].len, 5u);
}

}  // namespace
}  // namespace cider
