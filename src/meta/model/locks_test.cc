#include "meta/model/locks.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <random>

#include "base/bytes.h"
#include "meta/testing/redis_fixture.h"

namespace cider::meta {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kEndOfFile = 0x7FFFFFFFFFFFFFFF;

// Written by JuiceFS 1.4.1.
constexpr char kThreeRanges[] =
    "000000000000553400000000000000000000000000000063000000010000553400000000000000c8000000000000012b"
    "000000010000553400000000000003e87fffffffffffffff";

PlockRange read_lock(uint64_t start, uint64_t end, uint32_t pid = 1) {
  return {LockKind::read, pid, start, end};
}
PlockRange write_lock(uint64_t start, uint64_t end, uint32_t pid = 1) {
  return {LockKind::write, pid, start, end};
}
PlockRange unlock(uint64_t start, uint64_t end) {
  return {LockKind::unlock, 0, start, end};
}
using Ranges = std::vector<PlockRange>;

TEST(Locks, RecordsComeBackByteForByte) {
  Ranges ranges = decode_plock_ranges(from_hex(kThreeRanges).value()).value();
  EXPECT_EQ(ranges, (Ranges{read_lock(0, 99, 21812), write_lock(200, 299, 21812),
                            write_lock(1000, kEndOfFile, 21812)}));
  EXPECT_EQ(to_hex(encode_plock_ranges(ranges)), kThreeRanges);
  EXPECT_TRUE(decode_plock_ranges("").value().empty());
}

TEST(Locks, DamagedRecordsAreErrors) {
  std::string record = encode_plock_ranges({read_lock(0, 5)});
  EXPECT_EQ(code_of(decode_plock_ranges(record.substr(1))), EIO);
  EXPECT_EQ(code_of(decode_plock_ranges(encode_plock_ranges({unlock(0, 5)}))), EIO);
  EXPECT_EQ(code_of(decode_plock_ranges(encode_plock_ranges({read_lock(6, 5)}))), EIO);
  EXPECT_EQ(code_of(decode_plock_ranges(encode_plock_ranges({read_lock(0, 5), read_lock(5, 9)}))), EIO);
  EXPECT_EQ(code_of(decode_plock_ranges(encode_plock_ranges({read_lock(6, 9), read_lock(0, 5)}))), EIO);
}

TEST(Locks, SettingSplitsReplacesAndMerges) {
  Ranges held = update_plock_ranges({}, write_lock(10, 19));
  EXPECT_EQ(held, (Ranges{write_lock(10, 19)}));
  EXPECT_EQ(update_plock_ranges(held, read_lock(13, 15)),
            (Ranges{write_lock(10, 12), read_lock(13, 15), write_lock(16, 19)}));
  EXPECT_EQ(update_plock_ranges(held, write_lock(20, 29)), (Ranges{write_lock(10, 29)}));
  EXPECT_EQ(update_plock_ranges(held, write_lock(0, 9)), (Ranges{write_lock(0, 19)}));
  EXPECT_EQ(update_plock_ranges(held, write_lock(20, 29, 2)),
            (Ranges{write_lock(10, 19), write_lock(20, 29, 2)}));
  EXPECT_EQ(update_plock_ranges(held, unlock(0, 12)), (Ranges{write_lock(13, 19)}));
  EXPECT_EQ(update_plock_ranges(held, unlock(0, kEndOfFile)), Ranges{});
  EXPECT_EQ(update_plock_ranges(held, unlock(5, 4)), held);
}

TEST(Locks, FillingAGapMergesBothSides) {
  EXPECT_EQ(update_plock_ranges({read_lock(0, 4), read_lock(10, 14)}, read_lock(5, 9)),
            (Ranges{read_lock(0, 14)}));
}

TEST(Locks, TheLastByteDoesNotWrapAround) {
  Ranges held = update_plock_ranges({read_lock(0, 3)}, read_lock(10, kMax));
  EXPECT_EQ(held, (Ranges{read_lock(0, 3), read_lock(10, kMax)}));
  EXPECT_EQ(update_plock_ranges(held, unlock(kMax, kMax)),
            (Ranges{read_lock(0, 3), read_lock(10, kMax - 1)}));
  EXPECT_EQ(update_plock_ranges(held, unlock(0, kMax)), Ranges{});
}

// Every byte of a small file, as the ranges should describe it.
struct ByteModel {
  static constexpr size_t kSize = 24;
  std::array<PlockRange, kSize> bytes;

  ByteModel() { bytes.fill({LockKind::unlock, 0, 0, 0}); }

  void set(const PlockRange& range) {
    for (uint64_t i = range.start; i <= range.end; i++) bytes[i] = {range.kind, range.pid, 0, 0};
  }
  Ranges ranges() const {
    Ranges out;
    for (uint64_t i = 0; i < kSize; i++) {
      if (bytes[i].kind == LockKind::unlock) continue;
      const bool goes_on = i > 0 && bytes[i - 1].kind == bytes[i].kind && bytes[i - 1].pid == bytes[i].pid;
      if (goes_on) {
        out.back().end = i;
      } else {
        out.push_back({bytes[i].kind, bytes[i].pid, i, i});
      }
    }
    return out;
  }
};

TEST(Locks, AgreesWithAByteByByteModel) {
  std::mt19937 random(20261122);
  auto below = [&](uint64_t n) { return random() % n; };
  for (int round = 0; round < 2000; round++) {
    ByteModel model;
    Ranges ranges;
    for (int step = 0; step < 30; step++) {
      PlockRange range;
      range.kind = static_cast<LockKind>(below(3));
      range.pid = range.kind == LockKind::unlock ? 0 : static_cast<uint32_t>(1 + below(2));
      range.start = below(ByteModel::kSize);
      range.end = range.start + below(ByteModel::kSize - range.start);
      model.set(range);
      ranges = update_plock_ranges(std::move(ranges), range);
      ASSERT_EQ(ranges, model.ranges()) << "round " << round << ", step " << step;
      ASSERT_EQ(decode_plock_ranges(encode_plock_ranges(ranges)).value(), ranges);
    }
  }
}

TEST(Locks, RecordLockConflicts) {
  const LockHolder a{1, 10}, b{1, 11}, c{2, 10};
  const std::vector<Plock> table = {{a, {read_lock(0, 9), write_lock(20, 29)}}, {b, {read_lock(5, 14)}}};
  LockHolder who;
  EXPECT_EQ(find_conflict(table, c, read_lock(0, 19), &who), nullptr);
  ASSERT_NE(find_conflict(table, c, write_lock(9, 9), &who), nullptr);
  EXPECT_EQ(who, a);
  ASSERT_NE(find_conflict(table, a, write_lock(9, 9), &who), nullptr);
  EXPECT_EQ(who, b);
  EXPECT_EQ(find_conflict(table, a, write_lock(20, 29), &who), nullptr);
  const PlockRange* held = find_conflict(table, b, read_lock(29, 40), nullptr);
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(*held, write_lock(20, 29));
  EXPECT_EQ(find_conflict(table, c, read_lock(30, kEndOfFile), &who), nullptr);
  EXPECT_EQ(find_conflict(table, c, unlock(0, kMax), &who), nullptr);
}

TEST(Locks, FlockConflicts) {
  const LockHolder a{1, 10}, b{1, 11};
  LockHolder who;
  EXPECT_FALSE(find_conflict(std::vector<Flock>{{a, LockKind::read}}, b, LockKind::read, &who));
  ASSERT_TRUE(find_conflict(std::vector<Flock>{{a, LockKind::read}}, b, LockKind::write, &who));
  EXPECT_EQ(who, a);
  EXPECT_TRUE(find_conflict(std::vector<Flock>{{a, LockKind::write}}, b, LockKind::read, &who));
  EXPECT_FALSE(find_conflict(std::vector<Flock>{{a, LockKind::write}}, a, LockKind::read, &who));
  EXPECT_FALSE(find_conflict(std::vector<Flock>{{a, LockKind::write}}, b, LockKind::unlock, nullptr));
}

TEST(LocksFixture, EveryRecordComesBackByteForByte) {
  CIDER_FIXTURE(dir, "main-redis");
  int count = 0;
  for (const auto& [key, fields] : testing::load_redis_fixture(dir).hashes) {
    if (!key.starts_with("lockp")) continue;
    for (const auto& [holder, value] : fields) {
      EXPECT_EQ(encode_plock_ranges(decode_plock_ranges(value).value()), value) << holder;
      count++;
    }
  }
  EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace cider::meta
