#include "object/crypto/encryptor.h"

#include <array>
#include <vector>

namespace cider::object {
namespace {

constexpr size_t kLengths = 3;  // bytes in front that tell the lengths

}  // namespace

Result<AeadCipher> find_cipher(std::string_view algo) {
  if (algo.empty() || algo == "aes256gcm-rsa") return AeadCipher::aes256_gcm;
  if (algo == "chacha20-rsa") return AeadCipher::chacha20_poly1305;
  if (algo == "sm4gcm") {
    return fail(ENOTSUP, "encryption by sm4gcm is not supported; aes256gcm-rsa and chacha20-rsa are");
  }
  return fail(EINVAL, "the encryption algorithm \"" + std::string(algo) +
                          "\" is not known; use aes256gcm-rsa or chacha20-rsa");
}

Result<std::unique_ptr<const Encryptor>> Encryptor::create(std::string_view pem,
                                                           const std::string& passphrase,
                                                           std::string_view algo) {
  const AeadCipher cipher = TRY(find_cipher(algo));
  return std::make_unique<const Encryptor>(TRY(RsaKey::parse(pem, passphrase)), cipher);
}

size_t Encryptor::overhead() const {
  return kLengths + key_.wrapped_size() + kAeadNonce + kAeadTag;
}

Status Encryptor::encrypt(const BufferChain& plain, std::span<std::byte> out) const {
  if (out.size() != total_size(plain) + overhead())
    return fail(EINVAL, "no room of the right size to encrypt to");
  const size_t wrapped = key_.wrapped_size();
  out[0] = static_cast<std::byte>(wrapped >> 8);
  out[1] = static_cast<std::byte>(wrapped & 0xff);
  out[2] = static_cast<std::byte>(kAeadNonce);
  const AeadKey key = TRY(AeadKey::random());
  TRY(key_.wrap(key, out.subspan(kLengths, wrapped)));
  const auto nonce = out.subspan(kLengths + wrapped).first<kAeadNonce>();
  TRY(random_bytes(nonce));

  std::vector<std::span<const std::byte>> pieces;
  pieces.reserve(plain.size());
  for (const Buffer& piece : plain) pieces.push_back(piece.bytes());
  return aead_seal(cipher_, key, nonce, {}, pieces, out.subspan(kLengths + wrapped + kAeadNonce));
}

Result<Encryptor::Envelope> Encryptor::parse(std::span<const std::byte> object) const {
  if (object.size() < overhead()) {
    return fail(EBADMSG,
                "it has " + std::to_string(object.size()) + " bytes, fewer than an encrypted object");
  }
  const size_t wrapped = std::to_integer<size_t>(object[0]) << 8 | std::to_integer<size_t>(object[1]);
  if (wrapped != key_.wrapped_size()) return fail(EBADMSG, "its key is not of this volume's RSA key");
  if (std::to_integer<size_t>(object[2]) != kAeadNonce) return fail(EBADMSG, "its nonce is not of 12 bytes");
  const std::span<const std::byte> rest = object.subspan(kLengths);
  return Envelope{rest.first(wrapped), rest.subspan(wrapped, kAeadNonce), rest.subspan(wrapped + kAeadNonce)};
}

Status Encryptor::decrypt(const Envelope& envelope, std::span<std::byte> out) const {
  const AeadKey key = TRY(key_.unwrap(envelope.wrapped_key));
  return aead_open(cipher_, key, envelope.nonce.first<kAeadNonce>(), {}, envelope.sealed, out);
}

}  // namespace cider::object
