#include "meta/model/volume_secrets.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <memory>

namespace cider::meta {
namespace {

constexpr size_t kNonce = 12;
constexpr size_t kTag = 16;
using Key = std::array<unsigned char, 16>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

unsigned char* bytes(std::string& s) {
  return reinterpret_cast<unsigned char*>(s.data());
}
const unsigned char* bytes(const std::string& s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

bool derive_key(const std::string& uuid, Key* key) {
  return EVP_Digest(uuid.data(), uuid.size(), key->data(), nullptr, EVP_md5(), nullptr) == 1;
}

std::string to_base64(const std::string& plain) {
  std::string out(4 * ((plain.size() + 2) / 3) + 1, '\0');  // OpenSSL ends it with a NUL
  const int length = EVP_EncodeBlock(bytes(out), bytes(plain), static_cast<int>(plain.size()));
  out.resize(static_cast<size_t>(length));
  return out;
}

Result<std::string> from_base64(std::string text) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
  if (text.size() % 4 != 0 || text.size() > 1 << 20) return fail(EINVAL, "it is no base64");
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string out(text.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(bytes(out), bytes(text), static_cast<int>(text.size()));
  if (length < static_cast<int>(padding)) return fail(EINVAL, "it is no base64");
  out.resize(static_cast<size_t>(length) - padding);
  return out;
}

}  // namespace

Result<std::string> seal_secret(const std::string& uuid, const std::string& secret) {
  Key key;
  std::string nonce(kNonce, '\0'), ciphertext(secret.size(), '\0'), tag(kTag, '\0');
  Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int length = 0;
  const bool ok =
      cipher && derive_key(uuid, &key) && RAND_bytes(bytes(nonce), kNonce) == 1 &&
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, key.data(), bytes(nonce)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), bytes(ciphertext), &length, bytes(secret),
                        static_cast<int>(secret.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), nullptr, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTag, tag.data()) == 1;
  if (!ok) return fail(EIO, "the crypto library failed to seal a secret");
  return to_base64(nonce + ciphertext + tag);
}

Result<std::string> unseal_secret(const std::string& uuid, const std::string& sealed) {
  const std::string box = TRY(from_base64(sealed));
  if (box.size() < kNonce + kTag) return fail(EINVAL, "it is too short");
  const std::string ciphertext = box.substr(kNonce, box.size() - kNonce - kTag);
  std::string tag = box.substr(box.size() - kTag);
  std::string secret(ciphertext.size(), '\0');
  Key key;
  Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int length = 0;
  const bool ready =
      cipher && derive_key(uuid, &key) &&
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, key.data(), bytes(box)) == 1;
  if (!ready) return fail(EIO, "the crypto library failed to open a secret");
  const bool authentic = EVP_DecryptUpdate(cipher.get(), bytes(secret), &length, bytes(ciphertext),
                                           static_cast<int>(ciphertext.size())) == 1 &&
                         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) == 1 &&
                         EVP_DecryptFinal_ex(cipher.get(), nullptr, &length) == 1;
  if (!authentic) return fail(EINVAL, "it was sealed for another volume or is damaged");
  return secret;
}

}  // namespace cider::meta
