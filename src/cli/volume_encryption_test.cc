#include "cli/volume_encryption.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/testing/fixtures.h"

namespace cider::cli {
namespace {

// Blocks that were staged before an update must be opened after it. The number was made with another
// implementation of HKDF.
TEST(VolumeEncryption, TheKeyOfTheCacheStays) {
  CIDER_FIXTURE(keys, "test-keys");
  const auto encryptor =
      *object::Encryptor::create(cider::testing::read_file(keys / "rsa-plain.pem"), "", "aes256gcm-rsa");
  const auto key = cache_key(encryptor.get(), "247aacdf-9b7a-4ca8-a592-4bc07b80d62e");
  ASSERT_TRUE(key);
  const auto bytes = (*key)->bytes();
  EXPECT_EQ(to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}),
            "2ab2e64876c9b1edc0edfb5458edc845d7091b5bbfb7f68a32ca438fa2c7c637");
  EXPECT_EQ(*cache_key(nullptr, "247aacdf-9b7a-4ca8-a592-4bc07b80d62e"), nullptr);
}

}  // namespace
}  // namespace cider::cli
