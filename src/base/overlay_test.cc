#include "base/overlay.h"

#include <gtest/gtest.h>

#include <random>

namespace cider {
namespace {

TEST(Overlay, GapsAndHolesAreZeros) {
  std::vector<Slice> records = {{.pos = 10, .id = 1, .size = 20, .off = 0, .len = 20}, {.pos = 15, .len = 5}};
  auto extents = Overlay(records).extents(0, 40);
  std::vector<Slice> expected = {{0, 0, 0, 0, 10}, {10, 1, 20, 0, 5}, {15, 0, 0, 0, 5}, {20, 1, 20, 10, 10}, {30, 0, 0, 0, 10}};
  EXPECT_EQ(extents, expected);
}

TEST(Overlay, RecordsThatMakeNoSenseAreCut) {
  std::vector<Slice> records = {
      {.pos = static_cast<uint32_t>(kChunkSize) - 5, .id = 1, .size = 100, .off = 0, .len = 100},  // beyond the chunk
      {.pos = 0, .id = 2, .size = 10, .off = 4, .len = 100},                                        // beyond the slice
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

// Against one cell per byte.
TEST(Overlay, ShowsWhatPaintingBytesShows) {
  constexpr uint32_t kSize = 500;
  for (unsigned seed = 0; seed < 300; seed++) {
    std::mt19937 random(seed);
    std::vector<Slice> records;
    struct Cell {
      uint64_t id = 0;
      uint32_t off = 0;
    };
    std::vector<Cell> cells(kSize);
    for (uint64_t id = 1; id <= random() % 40; id++) {
      uint32_t pos = random() % kSize;
      uint32_t len = 1 + random() % (random() % 3 == 0 ? kSize - pos : std::min(20u, kSize - pos));
      uint32_t off = random() % 10;
      uint64_t shown = random() % 5 == 0 ? 0 : id;
      records.push_back({pos, shown, shown ? off + len + 3 : 0, shown ? off : 0, len});
      for (uint32_t i = 0; i < len; i++) cells[pos + i] = {shown, shown ? off + i : 0};
    }
    Overlay overlay(records);
    uint32_t begin = random() % kSize;
    uint32_t end = begin + 1 + random() % (kSize - begin);
    uint32_t at = begin;
    for (const Slice& extent : overlay.extents(begin, end)) {
      ASSERT_EQ(extent.pos, at);
      ASSERT_GT(extent.len, 0u);
      for (uint32_t i = 0; i < extent.len; i++, at++) {
        ASSERT_EQ(extent.id, cells[at].id) << "seed " << seed << " at " << at;
        if (extent.id) {
          ASSERT_EQ(extent.off + i, cells[at].off) << "seed " << seed << " at " << at;
        }
      }
    }
    ASSERT_EQ(at, end);
  }
}

}  // namespace
}  // namespace cider
