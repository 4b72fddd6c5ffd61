#include "object/crypto/encryptor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/testing/fixtures.h"
#include "object/testing/rsa_pem.h"

namespace cider::object {
namespace {

using testing::make_rsa_pem;
using testing::PemStyle;

using Bytes = std::vector<std::byte>;

BufferChain chain(const std::vector<std::string>& pieces) {
  BufferChain data;
  for (const std::string& piece : pieces) {
    data.push_back(Buffer::allocate(piece.size(), nullptr));
    std::memcpy(data.back().mutable_data(), piece.data(), piece.size());
  }
  return data;
}

Bytes encrypt(const Encryptor& encryptor, const std::vector<std::string>& pieces) {
  const BufferChain data = chain(pieces);
  Bytes out(total_size(data) + encryptor.overhead());
  EXPECT_TRUE(encryptor.encrypt(data, out));
  return out;
}

Result<std::string> decrypt(const Encryptor& encryptor, std::span<const std::byte> object) {
  const auto envelope = TRY(encryptor.parse(object));
  std::string plain(envelope.plain_size(), '\0');
  TRY(encryptor.decrypt(envelope, std::as_writable_bytes(std::span(plain))));
  return plain;
}

class EncryptorTest : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { pem_ = make_rsa_pem(PemStyle::pkcs8); }
  static std::string pem_;
  const std::unique_ptr<const Encryptor> encryptor_ = *Encryptor::create(pem_, "", GetParam());
};
std::string EncryptorTest::pem_;
INSTANTIATE_TEST_SUITE_P(Algorithms, EncryptorTest, ::testing::Values("aes256gcm-rsa", "chacha20-rsa"),
                         [](const auto& algo) { return std::string(algo.index == 0 ? "Aes" : "ChaCha"); });

TEST_P(EncryptorTest, EnvelopeAsTheFormatHasIt) {
  const Bytes object = encrypt(*encryptor_, {"hello, ", "", "world"});
  ASSERT_EQ(object.size(), 3 + 128 + 12 + 12 + 16u);  // the key has 1024 bits
  EXPECT_EQ(object[0], std::byte{0});
  EXPECT_EQ(object[1], std::byte{128});
  EXPECT_EQ(object[2], std::byte{12});
  EXPECT_EQ(decrypt(*encryptor_, object).value(), "hello, world");
  EXPECT_EQ(decrypt(*encryptor_, encrypt(*encryptor_, {})).value(), "");
}

TEST_P(EncryptorTest, EachObjectHasAKeyAndNonceOfItsOwn) {
  const Bytes one = encrypt(*encryptor_, {"x"});
  const Bytes two = encrypt(*encryptor_, {"x"});
  EXPECT_FALSE(std::equal(one.begin() + 3, one.begin() + 3 + 128, two.begin() + 3));
  EXPECT_FALSE(std::equal(one.begin() + 131, one.begin() + 131 + 12, two.begin() + 131));
}

TEST_P(EncryptorTest, NoBitFlippedPasses) {
  const Bytes object = encrypt(*encryptor_, {"some content"});
  for (size_t bit = 0; bit < object.size() * 8; bit++) {
    Bytes flipped = object;
    flipped[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
    EXPECT_EQ(code_of(decrypt(*encryptor_, flipped)), EBADMSG) << "bit " << bit;
  }
}

TEST_P(EncryptorTest, NothingTruncatedPasses) {
  const Bytes object = encrypt(*encryptor_, {"some content"});
  for (size_t n = 0; n < object.size(); n++) {
    const Bytes part(object.begin(), object.begin() + static_cast<ptrdiff_t>(n));
    EXPECT_EQ(code_of(decrypt(*encryptor_, part)), EBADMSG) << n;
  }
  Bytes longer = object;
  longer.push_back(std::byte{0});
  EXPECT_EQ(code_of(decrypt(*encryptor_, longer)), EBADMSG);
}

TEST_P(EncryptorTest, AnotherKeyDoesNotOpenIt) {
  const Bytes object = encrypt(*encryptor_, {"x"});
  const auto same_size = *Encryptor::create(make_rsa_pem(PemStyle::pkcs8), "", GetParam());
  EXPECT_EQ(code_of(decrypt(*same_size, object)), EBADMSG);
  const auto larger = *Encryptor::create(make_rsa_pem(PemStyle::traditional, "", 2048), "", GetParam());
  EXPECT_EQ(code_of(decrypt(*larger, object)), EBADMSG);
  EXPECT_EQ(decrypt(*larger, encrypt(*larger, {"x"})).value(), "x");
}

TEST(EncryptorKey, InEveryFormOfPem) {
  for (PemStyle style : {PemStyle::pkcs8, PemStyle::traditional}) {
    EXPECT_TRUE(RsaKey::parse(make_rsa_pem(style), ""));
    EXPECT_TRUE(RsaKey::parse(make_rsa_pem(style), "not needed"));
    const std::string locked = make_rsa_pem(style, "the passphrase");
    EXPECT_TRUE(RsaKey::parse(locked, "the passphrase"));
    for (const char* wrong : {"", "wrong", "the passphras", "the passphrase "}) {
      auto key = RsaKey::parse(locked, wrong);
      EXPECT_EQ(code_of(key), EACCES) << wrong;
      EXPECT_NE(key.error().message.find("JFS_RSA_PASSPHRASE"), std::string::npos) << key.error().message;
    }
  }
}

TEST(EncryptorKey, OthersAreRefused) {
  const std::string good = make_rsa_pem(PemStyle::pkcs8);
  for (const std::string& bad :
       {std::string(), std::string("removed"), std::string("-----BEGIN RSA PRIVATE KEY-----\nabc\n"),
        good.substr(0, good.size() / 2), testing::make_ec_pem(), make_rsa_pem(PemStyle::pkcs8, "", 512)}) {
    EXPECT_EQ(code_of(RsaKey::parse(bad, "")), EINVAL) << bad;
  }
}

TEST(EncryptorKey, DerivesKeysForOtherPurposes) {
  const std::string pem = make_rsa_pem(PemStyle::pkcs8);
  const auto key = *RsaKey::parse(pem, "");
  const auto same = *RsaKey::parse(pem, "");
  const auto other = *RsaKey::parse(make_rsa_pem(PemStyle::pkcs8), "");
  const AeadKey derived = *key.derive("cache");
  EXPECT_TRUE(std::ranges::equal(derived.bytes(), same.derive("cache")->bytes()));
  EXPECT_FALSE(std::ranges::equal(derived.bytes(), key.derive("staging")->bytes()));
  EXPECT_FALSE(std::ranges::equal(derived.bytes(), other.derive("cache")->bytes()));
}

TEST(EncryptorAlgorithm, ByTheNameInTheSetting) {
  EXPECT_EQ(find_cipher("").value(), AeadCipher::aes256_gcm);
  EXPECT_EQ(find_cipher("chacha20-rsa").value(), AeadCipher::chacha20_poly1305);
  EXPECT_EQ(code_of(find_cipher("sm4gcm")), ENOTSUP);
  EXPECT_EQ(code_of(find_cipher("rot13")), EINVAL);
}

// Every object, the mark too, which holds a UUID.
void opens_objects_of(const std::string& fixture, const std::string& pem_name, const std::string& algo,
                      bool plain_blocks) {
  CIDER_FIXTURE(dir, fixture);
  CIDER_FIXTURE(keys, "test-keys");
  std::string passphrase = cider::testing::read_file(keys / "passphrase.txt");
  while (passphrase.ends_with('\n')) passphrase.pop_back();
  const auto encryptor = *Encryptor::create(cider::testing::read_file(keys / pem_name), passphrase, algo);
  int seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir / "objects")) {
    if (!entry.is_regular_file()) continue;
    const std::string object = cider::testing::read_file(entry.path());
    auto plain = decrypt(*encryptor, std::as_bytes(std::span(object)));
    ASSERT_TRUE(plain) << entry.path() << plain.error().message;
    const std::string name = entry.path().filename();
    unsigned id, index, size;
    if (std::sscanf(name.c_str(), "%u_%u_%u", &id, &index, &size) == 3) {
      if (!plain_blocks) continue;  // compressed, too
      EXPECT_EQ(plain->size(), size) << entry.path();
      seen++;
    } else {
      EXPECT_EQ(name, "juicefs_uuid");
      EXPECT_EQ(plain->size(), 36u);
    }
  }
  EXPECT_EQ(seen, plain_blocks ? 12 : 0);
}

TEST(EncryptorGolden, AesObjectsOfJuiceFs) {
  opens_objects_of("small-aes", "rsa-pkcs8.pem", "aes256gcm-rsa", true);
}
TEST(EncryptorGolden, ChaChaObjectsOfJuiceFs) {
  opens_objects_of("small-chacha", "rsa-traditional.pem", "chacha20-rsa", true);
}
TEST(EncryptorGolden, CompressedObjectsOfJuiceFs) {
  opens_objects_of("small-lz4-aes", "rsa-pkcs8.pem", "aes256gcm-rsa", false);
}

}  // namespace
}  // namespace cider::object
