#include "object/s3/metadata.h"

#include <gtest/gtest.h>

namespace cider::object::s3 {
namespace {

TEST(Metadata, WithoutKeysIsAnError) {
  for (const char* json :
       {"", "[]", "{", R"({"Code":"Failed"})", R"({"AccessKeyId":1,"SecretAccessKey":"x"})"}) {
    EXPECT_EQ(code_of(parse_metadata_credentials(json)), EACCES) << json;
  }
}

}  // namespace
}  // namespace cider::object::s3
