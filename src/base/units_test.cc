#include "base/units.h"

#include <gtest/gtest.h>

namespace cider {
namespace {

using namespace std::chrono_literals;

TEST(Units, ParsesSizes) {
  EXPECT_EQ(*parse_size("4M", 'K'), 4u << 20);
  EXPECT_EQ(*parse_size("4096", 'K'), 4u << 20);
  EXPECT_EQ(*parse_size("300", 'M'), 300u << 20);
  EXPECT_EQ(*parse_size("100G", 'M'), 100ull << 30);
  EXPECT_EQ(*parse_size("1.5g", 'M'), 3ull << 29);
  EXPECT_EQ(*parse_size("64KiB", 'M'), 64u << 10);
  EXPECT_EQ(*parse_size("17B", 'M'), 17u);
  EXPECT_EQ(*parse_size("0", 'G'), 0u);
  EXPECT_EQ(*parse_size("7.5E", 'G'), 15ull << 59);
}

TEST(Units, RefusesWhatIsNoSize) {
  for (const char* text : {"", "M", "-1", "4X", "4MM", "4 M", "1e3", "nan", "inf", "4M ", "0x10", "4BB",
                           "16E", "99999999999G"}) {
    EXPECT_EQ(code_of(parse_size(text, 'M')), EINVAL) << text;
  }
  EXPECT_EQ(parse_size("4X", 'M').error().message, "\"4X\" is not a size; write it like 4M, 1.5G or 300");
}

TEST(Units, ParsesDurations) {
  EXPECT_EQ(*parse_duration("12s"), 12s);
  EXPECT_EQ(*parse_duration("1.0s"), 1s);
  EXPECT_EQ(*parse_duration("100ms"), 100ms);
  EXPECT_EQ(*parse_duration("1h30m"), 90min);
  EXPECT_EQ(*parse_duration("2d12h"), 60h);
  EXPECT_EQ(*parse_duration("1.5"), 1500ms);
  EXPECT_EQ(*parse_duration("0"), 0s);
  EXPECT_EQ(*parse_duration("5us"), 5us);
}

TEST(Units, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "s", "-1s", "1x", "1s2", "1 s", "1000000d1000000d"}) {
    EXPECT_EQ(code_of(parse_duration(text)), EINVAL) << text;
  }
}

TEST(Units, ParsesIntegers) {
  EXPECT_EQ(*parse_integer("-3"), -3);
  for (const char* text : {"", "1.5", "1 ", "x", "99999999999999999999"})
    EXPECT_EQ(code_of(parse_integer(text)), EINVAL) << text;
}

// As `juicefs info`, `summary` and `config` print them.
TEST(Units, PrintsSizes) {
  EXPECT_EQ(short_size(0), "0 B");
  EXPECT_EQ(short_size(4096), "4.0 KiB");
  EXPECT_EQ(short_size(12 << 10), "12 KiB");
  EXPECT_EQ(short_size(70 << 20), "70 MiB");
  EXPECT_EQ(short_size(10ull << 30), "10 GiB");
  EXPECT_EQ(short_size(UINT64_MAX), "16 EiB");
  EXPECT_EQ(long_size(3), "3 Bytes");
  EXPECT_EQ(long_size(4096), "4.00 KiB (4096 Bytes)");
  EXPECT_EQ(long_size(73400320), "70.00 MiB (73400320 Bytes)");
  EXPECT_EQ(long_size(1536), "1.50 KiB (1536 Bytes)");
}

TEST(Units, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(100000), "100,000");
  EXPECT_EQ(grouped(10485760), "10,485,760");
}

}  // namespace
}  // namespace cider
