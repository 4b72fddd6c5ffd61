#include "meta/model/slices.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "meta/testing/redis_fixture.h"

namespace cider::meta {
namespace {

// Written by JuiceFS 1.4.1.
constexpr char kOneSlice[] = "00000000000000000000004b0000001f000000000000001f";
constexpr char kDelayed[] = "000000000000003900001f40000000000000003a000005dc";

TEST(Slices, RecordComesBackByteForByte) {
  auto slices = decode_slices(from_hex(kOneSlice).value()).value();
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0], (Slice{.pos = 0, .id = 75, .size = 31, .off = 0, .len = 31}));
  EXPECT_EQ(to_hex(encode_slices(slices)), kOneSlice);
}

TEST(Slices, AppendAddsOneRecord) {
  std::string records = from_hex(kOneSlice).value();
  const Slice last{.pos = 1, .id = 2, .size = 9, .off = 3, .len = 6};
  append_slice(&records, last);
  EXPECT_EQ(to_hex(records), std::string(kOneSlice) +
                                 "00000001"
                                 "0000000000000002"
                                 "00000009"
                                 "00000003"
                                 "00000006");
  EXPECT_EQ(decode_slices(records).value().back(), last);
}

TEST(Slices, HolesHaveNoSizeOfTheirOwn) {
  const Slice hole{.pos = 0, .id = 0, .size = 0, .off = 0, .len = kChunkSize};
  EXPECT_EQ(decode_slices(encode_slices({hole})).value().front(), hole);
}

TEST(Slices, DamagedRecordsAreErrors) {
  EXPECT_TRUE(decode_slices("").value().empty());
  std::string record = from_hex(kOneSlice).value();
  EXPECT_EQ(code_of(decode_slices(record.substr(1))), EIO);
  EXPECT_EQ(code_of(decode_slices(record + "x")), EIO);
  const Slice beyond_slice{.pos = 0, .id = 1, .size = 10, .off = 5, .len = 6};
  EXPECT_EQ(code_of(decode_slices(encode_slices({beyond_slice}))), EIO);
  const Slice overflow{.pos = 0, .id = 1, .size = 10, .off = 0xFFFFFFFF, .len = 1};
  EXPECT_EQ(code_of(decode_slices(encode_slices({overflow}))), EIO);
  const Slice beyond_chunk{.pos = kChunkSize - 1, .id = 0, .size = 0, .off = 0, .len = 2};
  EXPECT_EQ(code_of(decode_slices(encode_slices({beyond_chunk}))), EIO);
}

TEST(Slices, DelayedSlices) {
  auto slices = decode_delayed_slices(from_hex(kDelayed).value()).value();
  EXPECT_EQ(slices, (std::vector<DelayedSlice>{{57, 8000}, {58, 1500}}));
  EXPECT_EQ(to_hex(encode_delayed_slices(slices)), kDelayed);
  EXPECT_EQ(code_of(decode_delayed_slices("12345678901")), EIO);
}

TEST(SlicesFixture, EveryRecordComesBackByteForByte) {
  CIDER_FIXTURE(dir, "main-redis");
  auto fixture = testing::load_redis_fixture(dir);
  int count = 0;
  for (const auto& [key, items] : fixture.lists) {
    if (key[0] != 'c') continue;
    for (const std::string& item : items) {
      auto slices = decode_slices(item);
      ASSERT_TRUE(slices) << key << ": " << slices.error().to_string();
      EXPECT_EQ(encode_slices(*slices), item);
      count++;
    }
  }
  EXPECT_GT(count, 100);
  const auto& delayed = fixture.hashes.at("delSlices");
  ASSERT_FALSE(delayed.empty());
  for (const auto& [field, value] : delayed) {
    EXPECT_EQ(encode_delayed_slices(decode_delayed_slices(value).value()), value) << field;
  }
}

}  // namespace
}  // namespace cider::meta
