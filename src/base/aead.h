// Authenticated encryption with a key of 32, a nonce of 12 and a tag of 16 bytes: AES-256-GCM (NIST SP
// 800-38D) and ChaCha20-Poly1305 (RFC 8439), by OpenSSL, which uses the processor's instructions. A nonce
// must never be used twice with one key.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "base/result.h"

namespace cider {

inline constexpr size_t kAeadKey = 32;
inline constexpr size_t kAeadNonce = 12;
inline constexpr size_t kAeadTag = 16;

enum class AeadCipher { aes256_gcm, chacha20_poly1305 };

// 32 bytes that are wiped when they go. Move-only, so that no copy is forgotten.
class AeadKey {
 public:
  AeadKey() = default;
  ~AeadKey() { wipe(); }
  AeadKey(AeadKey&& other) noexcept;
  AeadKey& operator=(AeadKey&& other) noexcept;

  // A fresh random key.
  static Result<AeadKey> random();

  std::span<std::byte, kAeadKey> bytes() { return bytes_; }
  std::span<const std::byte, kAeadKey> bytes() const { return bytes_; }

 private:
  void wipe();
  std::array<std::byte, kAeadKey> bytes_{};
};

// Overwrites a secret, which the compiler may not leave out.
void wipe(std::span<std::byte> secret);

// Fills `out` with random bytes good for keys. EIO where the system has none.
Status random_bytes(std::span<std::byte> out);

// HKDF with SHA-256 (RFC 5869): a key of `secret` for the one purpose that `salt` and `info` name.
Result<AeadKey> derive_key(std::span<const std::byte> secret, std::span<const std::byte> salt,
                           std::string_view info);

// Encrypts the pieces of `plain`, in order, to `out`, which is as long as all of them and the tag, which
// comes last. `extra` is authenticated too, but not stored. EINVAL for an `out` of another length.
Status aead_seal(AeadCipher cipher, const AeadKey& key, std::span<const std::byte, kAeadNonce> nonce,
                 std::span<const std::byte> extra, std::span<const std::span<const std::byte>> plain,
                 std::span<std::byte> out);

// Decrypts what aead_seal() gave, to `out`, which is shorter by the tag and may begin where `sealed` does.
// EBADMSG if a bit of anything differs; what is in `out` then is of no use.
Status aead_open(AeadCipher cipher, const AeadKey& key, std::span<const std::byte, kAeadNonce> nonce,
                 std::span<const std::byte> extra, std::span<const std::byte> sealed,
                 std::span<std::byte> out);
// Likewise, with the tag apart from the `ciphertext`, which is as long as `out`.
Status aead_open(AeadCipher cipher, const AeadKey& key, std::span<const std::byte, kAeadNonce> nonce,
                 std::span<const std::byte> extra, std::span<const std::byte> ciphertext,
                 std::span<const std::byte, kAeadTag> tag, std::span<std::byte> out);

}  // namespace cider
