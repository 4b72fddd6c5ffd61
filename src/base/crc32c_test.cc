#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace cider {
namespace {

uint32_t of(std::string_view text, uint32_t crc = 0) {
  return crc32c(crc, std::as_bytes(std::span(text)));
}

// RFC 3720, B.4.
TEST(Crc32c, PublishedVectors) {
  EXPECT_EQ(of(""), 0u);
  EXPECT_EQ(of("123456789"), 0xE3069283u);
  EXPECT_EQ(of(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(of(std::string(32, '\xff')), 0x62A8AB43u);
  std::string up, down;
  for (int i = 0; i < 32; i++) up += static_cast<char>(i), down += static_cast<char>(31 - i);
  EXPECT_EQ(of(up), 0x46DD794Eu);
  EXPECT_EQ(of(down), 0x113FDB5Cu);
}

TEST(Crc32c, PiecesOfAnySizeComeToTheSame) {
  std::string text;
  for (int i = 0; i < 5000; i++) text += static_cast<char>(i * 7);
  const uint32_t whole = of(text);
  for (size_t cut : {size_t{0}, size_t{1}, size_t{7}, size_t{64}, size_t{1023}, size_t{4999}, text.size()}) {
    EXPECT_EQ(of(std::string_view(text).substr(cut), of(std::string_view(text).substr(0, cut))), whole)
        << cut;
  }
}

}  // namespace
}  // namespace cider
