#include "chunk/read_ahead.h"

#include <gtest/gtest.h>

namespace cider::chunk {
namespace {

constexpr ReadAheadLimits kLimits{.max_window = 8 << 20, .step = 1 << 20};
constexpr uint32_t kRead = 128 << 10;

// What is to be fetched after a read of a reader that goes forward; empty: nothing.
ReadStream::Range next(ReadStream& stream, uint64_t off, uint32_t size, const ReadAheadLimits& limits) {
  const ReadStream::Ahead ahead = stream.on_read(off, size, limits);
  EXPECT_LE(ahead.count, 1u);
  return ahead.count == 0 ? ReadStream::Range{} : ahead.first;
}

TEST(ReadStream, BeginsAtOffsetZeroAndGrows) {
  ReadStream stream;
  auto range = next(stream, 0, kRead, kLimits);
  EXPECT_EQ(range.begin, kRead);
  EXPECT_EQ(range.end, 2 * kRead);
  uint64_t fetched = range.end;
  for (uint64_t off = kRead; off < (32 << 20); off += kRead) {
    range = next(stream, off, kRead, kLimits);
    if (range.begin == range.end) continue;
    EXPECT_EQ(range.begin, fetched);  // no gap, nothing twice
    fetched = range.end;
    EXPECT_LE(fetched, off + kRead + stream.window());
  }
  EXPECT_EQ(stream.window(), kLimits.step);  // never late: no more than that
  EXPECT_GT(fetched, 32u << 20);
}

TEST(ReadStream, GrowsToTheLimitWhileLate) {
  ReadStream stream;
  uint64_t asked = 0;
  for (uint64_t off = 0; off < (64 << 20); off += kRead) {
    auto range = next(stream, off, kRead, kLimits);
    asked += range.end > range.begin;
    stream.on_late();
  }
  EXPECT_EQ(stream.window(), kLimits.max_window);
  EXPECT_LT(asked, 100u);  // in steps, not with each read
}

TEST(ReadStream, InTheMiddleTwoAdjoiningReadsAreNeeded) {
  ReadStream stream;
  auto first = next(stream, 50 << 20, kRead, kLimits);
  EXPECT_EQ(first.begin, first.end);
  auto second = next(stream, (50 << 20) + kRead, kRead, kLimits);
  EXPECT_EQ(second.begin, (50u << 20) + 2 * kRead);
  EXPECT_GT(second.end, second.begin);
}

TEST(ReadStream, RandomReadsFetchNothingAhead) {
  ReadStream stream;
  uint64_t off = 1 << 20;
  for (int i = 0; i < 100; i++) {
    off = (off * 7919 + 13'000'000) % (1ull << 33);
    auto range = next(stream, off, 4096, kLimits);
    EXPECT_EQ(range.begin, range.end);
  }
}

TEST(ReadStream, ReadsThatOvertakeEachOtherStayOneStream) {
  ReadStream stream;
  stream.on_read(0, kRead, kLimits);
  stream.on_read(2 * kRead, kRead, kLimits);
  stream.on_read(kRead, kRead, kLimits);
  auto range = next(stream, 3 * kRead, kRead, kLimits);
  EXPECT_GT(stream.window(), 0u);
  EXPECT_TRUE(range.begin == range.end || range.begin >= 4 * kRead);
}

// The offsets at which reads of kRead are fetched ahead.
std::vector<uint64_t> places(const ReadStream::Ahead& ahead) {
  std::vector<uint64_t> all;
  for (uint32_t i = 0; i < ahead.count; i++) {
    all.push_back(ahead.at(i).begin);
    EXPECT_EQ(ahead.at(i).end, ahead.at(i).begin + kRead);
  }
  return all;
}

TEST(ReadStream, EqualStepsAreLearntAndFetchedOnceEach) {
  for (const int64_t step : {int64_t{5} << 20, -(int64_t{5} << 20)}) {
    ReadStream stream;
    uint64_t off = uint64_t{100} << 20;
    std::vector<uint64_t> fetched;
    for (int i = 0; i < 12; i++, off += static_cast<uint64_t>(step)) {
      for (const uint64_t place : places(stream.on_read(off, kRead, kLimits))) fetched.push_back(place);
      EXPECT_TRUE(i >= 3 || fetched.empty());
    }
    ASSERT_GE(fetched.size(), 8u);
    for (size_t i = 0; i < fetched.size(); i++) {
      EXPECT_EQ(fetched[i],
                (uint64_t{100} << 20) + static_cast<uint64_t>(step * static_cast<int64_t>(4 + i)));
    }
  }
}

TEST(ReadStream, StepsBackwardEndAtTheBeginning) {
  ReadStream stream;
  std::vector<uint64_t> fetched;
  for (int64_t off = 5 << 20; off >= 0; off -= 1 << 20) {
    for (const uint64_t place : places(stream.on_read(static_cast<uint64_t>(off), kRead, kLimits))) {
      fetched.push_back(place);
    }
  }
  EXPECT_EQ(fetched, (std::vector<uint64_t>{1 << 20, 0}));
}

TEST(ReadStream, StepsGoFurtherAheadWhileLate) {
  ReadStream stream;
  size_t fetched = 0;
  constexpr int kReads = 30;
  for (uint64_t i = 0; i < kReads; i++) {
    fetched += places(stream.on_read((1 << 20) + i * (3 << 20), kRead, kLimits)).size();
    stream.on_late();
  }
  EXPECT_EQ(fetched, kReads - 4 + 32u);
}

TEST(ReadStream, NoRoomNoReadAhead) {
  ReadStream stream;
  auto range = next(stream, 0, kRead, {.max_window = 0, .step = 1 << 20});
  EXPECT_EQ(range.begin, range.end);
}

TEST(StreamTable, KeepsStreamsApartAndReplacesTheOldest) {
  StreamTable table;
  for (uint64_t handle = 1; handle <= StreamTable::kMax; handle++) {
    uint64_t off = handle << 30;
    table.at(handle, off, kRead).on_read(off, kRead, kLimits);
  }
  ReadStream& second = table.at(2, (2ull << 30) + kRead, kRead);
  EXPECT_TRUE(second.continues((2ull << 30) + kRead, kRead));
  auto range = next(second, (2ull << 30) + kRead, kRead, kLimits);
  EXPECT_GT(range.end, range.begin);
  table.at(9, 9ull << 30, kRead).on_read(9ull << 30, kRead, kLimits);  // takes the place of 1
  EXPECT_TRUE(table.at(2, (2ull << 30) + 2 * kRead, kRead).window() > 0);
  EXPECT_EQ(table.at(1, (1ull << 30) + kRead, kRead).window(), 0u);
}

}  // namespace
}  // namespace cider::chunk
