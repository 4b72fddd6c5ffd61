#include "base/aead.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <memory>

namespace cider {
namespace {

// Looked up once: that takes a lock of the whole library.
struct Ciphers {
  struct Free {
    void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
  };
  std::unique_ptr<EVP_CIPHER, Free> aes{EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
  std::unique_ptr<EVP_CIPHER, Free> chacha{EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr)};
};

const EVP_CIPHER* find(AeadCipher cipher) {
  static const Ciphers ciphers;
  return cipher == AeadCipher::aes256_gcm ? ciphers.aes.get() : ciphers.chacha.get();
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

// What OpenSSL notes of an error would be taken by the next TLS call of this thread for its own.
std::unexpected<Error> library_failed(const char* what) {
  ERR_clear_error();
  return fail(EIO, std::string("OpenSSL can't ") + what);
}

const unsigned char* in(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

Result<Context> begin(bool encrypt, AeadCipher cipher, const AeadKey& key,
                      std::span<const std::byte, kAeadNonce> nonce, std::span<const std::byte> extra) {
  Context context(EVP_CIPHER_CTX_new());
  if (!context || !find(cipher) ||
      EVP_CipherInit_ex2(context.get(), find(cipher), in(key.bytes()), in(nonce), encrypt, nullptr) != 1) {
    return library_failed("begin to encrypt or decrypt");
  }
  int written = 0;
  if (!extra.empty() &&
      (extra.size() > INT_MAX ||
       EVP_CipherUpdate(context.get(), nullptr, &written, in(extra), static_cast<int>(extra.size())) != 1)) {
    return library_failed("authenticate");
  }
  return context;
}

// OpenSSL counts in int.
Status update(EVP_CIPHER_CTX* context, std::span<const std::byte> from, std::span<std::byte> to) {
  constexpr size_t kMost = 1 << 30;
  while (!from.empty()) {
    const size_t n = std::min(from.size(), kMost);
    int written = 0;
    if (EVP_CipherUpdate(context, out(to), &written, in(from), static_cast<int>(n)) != 1 ||
        static_cast<size_t>(written) != n) {
      return library_failed("encrypt or decrypt");
    }
    from = from.subspan(n);
    to = to.subspan(n);
  }
  return {};
}

}  // namespace

AeadKey::AeadKey(AeadKey&& other) noexcept : bytes_(other.bytes_) {
  other.wipe();
}

AeadKey& AeadKey::operator=(AeadKey&& other) noexcept {
  if (this != &other) {
    bytes_ = other.bytes_;
    other.wipe();
  }
  return *this;
}

void AeadKey::wipe() {
  cider::wipe(bytes_);
}

Result<AeadKey> AeadKey::random() {
  AeadKey key;
  if (RAND_priv_bytes(out(key.bytes()), kAeadKey) != 1) return library_failed("make a random key");
  return key;
}

void wipe(std::span<std::byte> secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

Status random_bytes(std::span<std::byte> bytes) {
  if (bytes.size() > INT_MAX || RAND_bytes(out(bytes), static_cast<int>(bytes.size())) != 1) {
    return library_failed("make random bytes");
  }
  return {};
}

Result<AeadKey> derive_key(std::span<const std::byte> secret, std::span<const std::byte> salt,
                           std::string_view info) {
  struct Free {
    void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
    void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
  };
  static const std::unique_ptr<EVP_KDF, Free> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const std::unique_ptr<EVP_KDF_CTX, Free> context(EVP_KDF_CTX_new(kdf.get()));
  // The parameters are only read, whatever their types say.
  const auto octets = [](const char* name, const void* data, size_t size) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<void*>(data), size);
  };
  char sha256[] = "SHA256";
  // OpenSSL refuses a salt that is nowhere; none is the same as one of zeros (RFC 5869, 2.2).
  static constexpr std::array<std::byte, 32> kNoSalt{};
  if (salt.empty()) salt = kNoSalt;
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
      octets(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
      octets(OSSL_KDF_PARAM_SALT, salt.data(), salt.size()),
      octets(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end(),
  };
  AeadKey key;
  if (!context || EVP_KDF_derive(context.get(), out(key.bytes()), kAeadKey, parameters) != 1) {
    return library_failed("derive a key");
  }
  return key;
}

Status aead_seal(AeadCipher cipher, const AeadKey& key, std::span<const std::byte, kAeadNonce> nonce,
                 std::span<const std::byte> extra, std::span<const std::span<const std::byte>> plain,
                 std::span<std::byte> sealed) {
  size_t length = 0;
  for (const auto& piece : plain) length += piece.size();
  if (sealed.size() != length + kAeadTag) return fail(EINVAL, "no room of the right size to encrypt to");

  Context context = TRY(begin(true, cipher, key, nonce, extra));
  std::span<std::byte> rest = sealed;
  for (const auto& piece : plain) {
    TRY(update(context.get(), piece, rest));
    rest = rest.subspan(piece.size());
  }
  int written = 0;
  if (EVP_CipherFinal_ex(context.get(), out(rest), &written) != 1 || written != 0 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTag, out(rest)) != 1) {
    return library_failed("finish to encrypt");
  }
  return {};
}

Status aead_open(AeadCipher cipher, const AeadKey& key, std::span<const std::byte, kAeadNonce> nonce,
                 std::span<const std::byte> extra, std::span<const std::byte> sealed,
                 std::span<std::byte> plain) {
  if (sealed.size() < kAeadTag) return fail(EBADMSG, "encrypted data of a wrong length");
  return aead_open(cipher, key, nonce, extra, sealed.first(sealed.size() - kAeadTag), sealed.last<kAeadTag>(),
                   plain);
}

Status aead_open(AeadCipher cipher, const AeadKey& key, std::span<const std::byte, kAeadNonce> nonce,
                 std::span<const std::byte> extra, std::span<const std::byte> ciphertext,
                 std::span<const std::byte, kAeadTag> stored_tag, std::span<std::byte> plain) {
  if (plain.size() != ciphertext.size()) return fail(EBADMSG, "encrypted data of a wrong length");
  Context context = TRY(begin(false, cipher, key, nonce, extra));
  // Copied first: the caller may decrypt over it.
  std::array<std::byte, kAeadTag> tag;
  std::ranges::copy(stored_tag, tag.begin());
  TRY(update(context.get(), ciphertext, plain));
  if (EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTag, tag.data()) != 1) {
    return library_failed("check a tag");
  }
  int written = 0;
  std::array<unsigned char, kAeadTag> nothing;
  if (EVP_CipherFinal_ex(context.get(), nothing.data(), &written) != 1) {
    ERR_clear_error();
    return fail(EBADMSG, "the tag does not match");
  }
  return {};
}

}  // namespace cider
