#include "base/url.h"

#include <gtest/gtest.h>

namespace cider {
namespace {

TEST(UrlTest, EscapedBytesAreDecoded) {
  EXPECT_EQ(percent_decoded("a%20b%2Fc%ff"), "a b/c\xff");
  EXPECT_EQ(percent_decoded(""), "");
  EXPECT_EQ(percent_decoded("%00"), std::string(1, '\0'));
}

TEST(UrlTest, APercentWantsTwoDigits) {
  for (const char* wrong : {"%", "a%4", "%4x", "%-1", "%%41"}) EXPECT_FALSE(percent_decoded(wrong)) << wrong;
}

}  // namespace
}  // namespace cider
