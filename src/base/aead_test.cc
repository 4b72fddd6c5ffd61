#include "base/aead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace cider {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}
Bytes hex(const std::string& digits) {
  return bytes_of(from_hex(digits).value());
}
AeadKey key_of(const std::string& digits) {
  AeadKey key;
  std::ranges::copy(hex(digits), key.bytes().begin());
  return key;
}

Bytes seal(AeadCipher cipher, const AeadKey& key, const Bytes& nonce, const Bytes& extra,
           const std::vector<Bytes>& pieces) {
  std::vector<std::span<const std::byte>> spans;
  size_t length = 0;
  for (const Bytes& piece : pieces) {
    spans.emplace_back(piece);
    length += piece.size();
  }
  Bytes out(length + kAeadTag);
  EXPECT_TRUE(aead_seal(cipher, key, std::span(nonce).first<kAeadNonce>(), extra, spans, out));
  return out;
}

Result<Bytes> open(AeadCipher cipher, const AeadKey& key, const Bytes& nonce, const Bytes& extra,
                   const Bytes& sealed) {
  Bytes out(sealed.size() < kAeadTag ? 0 : sealed.size() - kAeadTag);
  TRY(aead_open(cipher, key, std::span(nonce).first<kAeadNonce>(), extra, sealed, out));
  return out;
}

// Test case 16 of the GCM specification (McGrew and Viega).
TEST(Aead, AesGcmAsSpecified) {
  const AeadKey key = key_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Bytes nonce = hex("cafebabefacedbaddecaf888");
  const Bytes extra = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const Bytes plain =
      hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const Bytes sealed =
      hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
          "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
          "76fc6ece0f4e1768cddf8853bb2d551b");
  EXPECT_EQ(seal(AeadCipher::aes256_gcm, key, nonce, extra, {plain}), sealed);
  EXPECT_EQ(open(AeadCipher::aes256_gcm, key, nonce, extra, sealed).value(), plain);
}

// RFC 8439, 2.8.2.
TEST(Aead, ChaChaAsSpecified) {
  const AeadKey key = key_of("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const Bytes nonce = hex("070000004041424344454647");
  const Bytes extra = hex("50515253c0c1c2c3c4c5c6c7");
  const Bytes plain = bytes_of(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen "
      "would be it.");
  const Bytes sealed =
      hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
          "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
          "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
  EXPECT_EQ(seal(AeadCipher::chacha20_poly1305, key, nonce, extra, {plain}), sealed);
  EXPECT_EQ(open(AeadCipher::chacha20_poly1305, key, nonce, extra, sealed).value(), plain);
}

class AeadOf : public ::testing::TestWithParam<AeadCipher> {};
INSTANTIATE_TEST_SUITE_P(Ciphers, AeadOf,
                         ::testing::Values(AeadCipher::aes256_gcm, AeadCipher::chacha20_poly1305));

TEST_P(AeadOf, PiecesAreOneText) {
  const AeadKey key = AeadKey::random().value();
  const Bytes nonce(kAeadNonce);
  const Bytes whole = bytes_of(std::string(100, 'a') + std::string(33, 'b') + "c");
  const Bytes a(whole.begin(), whole.begin() + 100), b(whole.begin() + 100, whole.end() - 1);
  EXPECT_EQ(seal(GetParam(), key, nonce, {}, {a, b, {}, {std::byte{'c'}}}),
            seal(GetParam(), key, nonce, {}, {whole}));
  EXPECT_EQ(seal(GetParam(), key, nonce, {}, {}).size(), kAeadTag);
  EXPECT_EQ(open(GetParam(), key, nonce, {}, seal(GetParam(), key, nonce, {}, {})).value(), Bytes());
}

TEST_P(AeadOf, OpensInPlace) {
  const AeadKey key = AeadKey::random().value();
  const Bytes nonce(kAeadNonce, std::byte{1});
  const Bytes plain = bytes_of(std::string(1000, 'x'));
  Bytes memory = seal(GetParam(), key, nonce, {}, {plain});
  ASSERT_TRUE(aead_open(GetParam(), key, std::span(nonce).first<kAeadNonce>(), {}, memory,
                        std::span(memory).first(1000)));
  memory.resize(1000);
  EXPECT_EQ(memory, plain);
}

TEST_P(AeadOf, EveryBitCounts) {
  const AeadKey key = AeadKey::random().value();
  const Bytes nonce(kAeadNonce, std::byte{1});
  const Bytes extra = bytes_of("name");
  const Bytes sealed = seal(GetParam(), key, nonce, extra, {bytes_of("some text")});
  ASSERT_TRUE(open(GetParam(), key, nonce, extra, sealed));

  const auto flipped = [](Bytes bytes, size_t bit) {
    bytes[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
    return bytes;
  };
  for (size_t bit = 0; bit < sealed.size() * 8; bit++) {
    EXPECT_EQ(code_of(open(GetParam(), key, nonce, extra, flipped(sealed, bit))), EBADMSG) << bit;
  }
  for (size_t bit = 0; bit < kAeadNonce * 8; bit++) {
    EXPECT_EQ(code_of(open(GetParam(), key, flipped(nonce, bit), extra, sealed)), EBADMSG) << bit;
  }
  EXPECT_EQ(code_of(open(GetParam(), key, nonce, flipped(extra, 3), sealed)), EBADMSG);
  EXPECT_EQ(code_of(open(GetParam(), key, nonce, {}, sealed)), EBADMSG);
  EXPECT_EQ(code_of(open(GetParam(), AeadKey::random().value(), nonce, extra, sealed)), EBADMSG);
  for (size_t n = 0; n < sealed.size(); n++) {
    EXPECT_EQ(code_of(open(GetParam(), key, nonce, extra, {sealed.begin(), sealed.begin() + n})), EBADMSG);
  }
}

// RFC 5869, A.1 (its output is longer; the beginning is the same).
TEST(AeadKey, IsDerivedAsSpecified) {
  const Bytes info = hex("f0f1f2f3f4f5f6f7f8f9");
  const AeadKey key = derive_key(Bytes(22, std::byte{0x0b}), hex("000102030405060708090a0b0c"),
                                 {reinterpret_cast<const char*>(info.data()), info.size()})
                          .value();
  EXPECT_TRUE(std::ranges::equal(key.bytes(),
                                 hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")));
}

TEST(AeadKey, IsRandomAndWipedWhenMoved) {
  AeadKey first = AeadKey::random().value();
  const AeadKey second = AeadKey::random().value();
  EXPECT_FALSE(std::ranges::equal(first.bytes(), second.bytes()));
  const AeadKey moved = std::move(first);
  EXPECT_TRUE(std::ranges::all_of(first.bytes(), [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_FALSE(std::ranges::all_of(moved.bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

}  // namespace
}  // namespace cider
