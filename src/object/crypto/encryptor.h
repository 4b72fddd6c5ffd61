// Encryption of objects, as JuiceFS has it (pkg/object/encrypt.go): each object has a key of its own, which
// stands in front of it, wrapped by the volume's RSA key.
//
//   u16 length of the wrapped key | u8 length of the nonce, 12 | wrapped key | nonce | ciphertext | tag, 16
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/aead.h"
#include "base/buffer.h"
#include "base/result.h"
#include "object/crypto/rsa_key.h"

namespace cider::object {

// The cipher of a name in the volume's setting: "aes256gcm-rsa", "" (the same), "chacha20-rsa". ENOTSUP for
// "sm4gcm", EINVAL for others.
Result<AeadCipher> find_cipher(std::string_view algo);

// Thread-safe.
class Encryptor {
 public:
  Encryptor(RsaKey key, AeadCipher cipher) : key_(std::move(key)), cipher_(cipher) {}

  // `pem` and `algo` as the volume's setting has them. Errors as of RsaKey::parse() and find_cipher().
  static Result<std::unique_ptr<const Encryptor>> create(std::string_view pem, const std::string& passphrase,
                                                         std::string_view algo);

  // By how much an object is longer than its content.
  size_t overhead() const;

  // Encrypts the pieces of `plain` to `out`, which has total_size(plain) + overhead() bytes.
  Status encrypt(const BufferChain& plain, std::span<std::byte> out) const;

  // A sealed object, taken apart.
  struct Envelope {
    std::span<const std::byte> wrapped_key;
    std::span<const std::byte> nonce;
    std::span<const std::byte> sealed;  // ciphertext and tag

    size_t plain_size() const { return sealed.size() - kAeadTag; }
  };
  // EBADMSG if `object` can't be one of this volume's.
  Result<Envelope> parse(std::span<const std::byte> object) const;

  // Decrypts to `out`, which has plain_size() bytes. EBADMSG for an object that was altered or is of another
  // key.
  Status decrypt(const Envelope& envelope, std::span<std::byte> out) const;

  const RsaKey& key() const { return key_; }

 private:
  const RsaKey key_;
  const AeadCipher cipher_;
};

}  // namespace cider::object
