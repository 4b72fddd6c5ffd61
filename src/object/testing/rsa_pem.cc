#include "object/testing/rsa_pem.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>

namespace cider::object::testing {
namespace {

std::string to_pem(EVP_PKEY* key, PemStyle style, const std::string& passphrase) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  const EVP_CIPHER* cipher = passphrase.empty() ? nullptr : EVP_aes_256_cbc();
  const auto* secret = reinterpret_cast<const unsigned char*>(passphrase.data());
  const auto length = static_cast<int>(passphrase.size());
  if (style == PemStyle::pkcs8) {
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key, cipher, reinterpret_cast<const char*>(secret), length,
                                  nullptr, nullptr);
  } else {
    PEM_write_bio_PrivateKey_traditional(bio.get(), key, cipher, secret, length, nullptr, nullptr);
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

}  // namespace

std::string make_rsa_pem(PemStyle style, const std::string& passphrase, int bits) {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_RSA_gen(static_cast<unsigned>(bits)),
                                                          EVP_PKEY_free);
  return to_pem(key.get(), style, passphrase);
}

std::string make_ec_pem() {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  return to_pem(key.get(), PemStyle::pkcs8, "");
}

}  // namespace cider::object::testing
