// The RSA private key of a volume, which wraps the key of each object: RSA-OAEP with SHA-256 and the label
// "keys" (JuiceFS pkg/object/encrypt.go).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/aead.h"
#include "base/result.h"

namespace cider::object {

// Thread-safe.
class RsaKey {
 public:
  // A private key in PEM, PKCS#8 or traditional, and its passphrase, which is ignored where the key needs
  // none. EACCES: it needs one, and `passphrase` is empty or wrong. EINVAL: not such a key, or not of RSA.
  static Result<RsaKey> parse(std::string_view pem, const std::string& passphrase);

  ~RsaKey();
  RsaKey(RsaKey&&) noexcept;
  RsaKey& operator=(RsaKey&&) noexcept;

  // Length of what wrap() gives.
  size_t wrapped_size() const;
  // Encrypts `key` to `out`, which has wrapped_size() bytes. Takes some 30 us for 2048 bits.
  Status wrap(const AeadKey& key, std::span<std::byte> out) const;
  // EBADMSG for what this key did not wrap. Takes some 600 us for 2048 bits.
  Result<AeadKey> unwrap(std::span<const std::byte> wrapped) const;
  // A key for another purpose, the same for everybody who has this private key: HKDF-SHA256 of its private
  // exponent. `purpose` tells such keys apart.
  Result<AeadKey> derive(std::string_view purpose) const;

 private:
  struct Key;
  explicit RsaKey(std::unique_ptr<Key> key);
  std::unique_ptr<Key> key_;
};

}  // namespace cider::object
