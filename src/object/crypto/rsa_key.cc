#include "object/crypto/rsa_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <climits>
#include <cstring>
#include <vector>

namespace cider::object {
namespace {

constexpr std::string_view kLabel = "keys";
// OAEP with SHA-256 takes 66 bytes of its own.
constexpr int kSmallestBits = 1024;
constexpr int kLargestBits = 16384;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeKey>;
using ContextPtr = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;

// Whether the PEM needs a passphrase shows when OpenSSL asks for it.
struct Asked {
  const std::string& passphrase;
  bool asked = false;
};

int give_passphrase(char* buffer, int size, int /*for_writing*/, void* user) {
  auto& ask = *static_cast<Asked*>(user);
  ask.asked = true;
  const auto length = static_cast<int>(ask.passphrase.size());
  if (length == 0 || length > size) return -1;
  std::memcpy(buffer, ask.passphrase.data(), ask.passphrase.size());
  return length;
}

// EVP_PKEY_encrypt or _decrypt with OAEP.
using Begin = int (*)(EVP_PKEY_CTX*);

Result<ContextPtr> oaep(EVP_PKEY* key, Begin begin) {
  ContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (!context || begin(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) != 1) {
    ERR_clear_error();
    return fail(EIO, "OpenSSL can't use RSA-OAEP");
  }
  void* label = OPENSSL_memdup(kLabel.data(), kLabel.size());
  if (!label ||
      EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), label, static_cast<int>(kLabel.size())) != 1) {
    OPENSSL_free(label);
    ERR_clear_error();
    return fail(EIO, "OpenSSL can't use RSA-OAEP with a label");
  }
  return context;
}

const unsigned char* in(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

Result<KeyPtr> read_pem(std::string_view pem, const std::string& passphrase) {
  if (pem.empty() || pem.size() > INT_MAX) return fail(EINVAL, "the RSA key is empty");
  std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Asked ask{passphrase};
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase, &ask) : nullptr);
  ERR_clear_error();
  if (!key && ask.asked && passphrase.empty()) {
    return fail(EACCES,
                "the RSA key is protected by a passphrase; set the environment variable "
                "JFS_RSA_PASSPHRASE to it");
  }
  if (!key && ask.asked) {
    return fail(EACCES,
                "the passphrase in the environment variable JFS_RSA_PASSPHRASE does not open the RSA "
                "key");
  }
  if (!key) {
    return fail(EINVAL,
                "the RSA key is not a private key in PEM (PKCS#8 or traditional), as `openssl genrsa` "
                "makes it");
  }
  return key;
}

}  // namespace

struct RsaKey::Key {
  KeyPtr pkey;
};

RsaKey::RsaKey(std::unique_ptr<Key> key) : key_(std::move(key)) {}
RsaKey::~RsaKey() = default;
RsaKey::RsaKey(RsaKey&&) noexcept = default;
RsaKey& RsaKey::operator=(RsaKey&&) noexcept = default;

Result<RsaKey> RsaKey::parse(std::string_view pem, const std::string& passphrase) {
  KeyPtr pkey = TRY(read_pem(pem, passphrase));
  if (EVP_PKEY_get_base_id(pkey.get()) != EVP_PKEY_RSA) {
    const char* type = EVP_PKEY_get0_type_name(pkey.get());
    return fail(EINVAL,
                std::string("the key is of the type ") + (type ? type : "?") + "; a key of RSA is needed");
  }
  const int bits = EVP_PKEY_get_bits(pkey.get());
  if (bits < kSmallestBits || bits > kLargestBits) {
    return fail(EINVAL, "the RSA key has " + std::to_string(bits) +
                            " bits; 1024 to 16384 will do, 2048 or more " + "are advised");
  }
  RsaKey key(std::make_unique<Key>(std::move(pkey)));
  // A key whose parts don't belong together would be seen when it is too late.
  const AeadKey probe = TRY(AeadKey::random());
  std::vector<std::byte> wrapped(key.wrapped_size());
  Status wrap = key.wrap(probe, wrapped);
  if (!wrap || !key.unwrap(wrapped))
    return fail(EINVAL, "the RSA key is damaged: it can't decrypt what it encrypts");
  return key;
}

size_t RsaKey::wrapped_size() const {
  return static_cast<size_t>(EVP_PKEY_get_size(key_->pkey.get()));
}

Status RsaKey::wrap(const AeadKey& key, std::span<std::byte> wrapped) const {
  ContextPtr context = TRY(oaep(key_->pkey.get(), EVP_PKEY_encrypt_init));
  size_t length = wrapped.size();
  if (EVP_PKEY_encrypt(context.get(), out(wrapped), &length, in(key.bytes()), kAeadKey) != 1 ||
      length != wrapped.size()) {
    ERR_clear_error();
    return fail(EIO, "OpenSSL can't encrypt with the RSA key");
  }
  return {};
}

Result<AeadKey> RsaKey::unwrap(std::span<const std::byte> wrapped) const {
  if (wrapped.size() != wrapped_size()) return fail(EBADMSG, "its key is not of this volume's RSA key");
  ContextPtr context = TRY(oaep(key_->pkey.get(), EVP_PKEY_decrypt_init));
  std::array<std::byte, kLargestBits / 8> plain;
  size_t length = plain.size();
  const bool done = EVP_PKEY_decrypt(context.get(), out(plain), &length, in(wrapped), wrapped.size()) == 1;
  AeadKey key;
  if (done && length == kAeadKey) std::memcpy(key.bytes().data(), plain.data(), kAeadKey);
  wipe(plain);
  if (!done || length != kAeadKey) {
    ERR_clear_error();
    return fail(EBADMSG, "its key can't be decrypted with this volume's RSA key");
  }
  return key;
}

Result<AeadKey> RsaKey::derive(std::string_view purpose) const {
  struct Free {
    void operator()(BIGNUM* number) const { BN_clear_free(number); }
  };
  BIGNUM* found = nullptr;
  EVP_PKEY_get_bn_param(key_->pkey.get(), OSSL_PKEY_PARAM_RSA_D, &found);
  const std::unique_ptr<BIGNUM, Free> exponent(found);
  std::vector<std::byte> secret(exponent ? wrapped_size() : 0);
  if (!exponent || BN_bn2binpad(exponent.get(), out(secret), static_cast<int>(secret.size())) < 0) {
    ERR_clear_error();
    return fail(EIO, "OpenSSL doesn't give the private exponent of the RSA key");
  }
  auto key = derive_key(secret, {}, purpose);
  wipe(secret);
  return key;
}

}  // namespace cider::object
