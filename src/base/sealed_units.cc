#include "base/sealed_units.h"

#include <algorithm>
#include <cstring>

namespace cider {
namespace {

constexpr std::string_view kMagic = "CiderSU1";
constexpr size_t kSalt = kSealedHeader - kMagic.size();

std::array<std::byte, kAeadNonce> nonce_of(uint32_t n) {
  std::array<std::byte, kAeadNonce> nonce{};
  for (size_t i = 0; i < 4; i++) nonce[kAeadNonce - 1 - i] = static_cast<std::byte>(n >> 8 * i);
  return nonce;
}

}  // namespace

Result<SealedUnits> SealedUnits::with_salt(const AeadKey& folder, std::string_view name,
                                           std::span<const std::byte> salt) {
  return SealedUnits(TRY(derive_key(folder.bytes(), salt, name)));
}

Result<SealedUnits> SealedUnits::create(const AeadKey& folder, std::string_view name,
                                        std::span<std::byte, kSealedHeader> header) {
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  const auto salt = header.subspan<kMagic.size(), kSalt>();
  TRY(random_bytes(salt));
  return with_salt(folder, name, salt);
}

Result<SealedUnits> SealedUnits::open(const AeadKey& folder, std::string_view name,
                                      std::span<const std::byte, kSealedHeader> header) {
  if (std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
    return fail(EBADMSG, std::string(name) + ": not an encrypted file of the cache");
  }
  return with_salt(folder, name, header.subspan<kMagic.size(), kSalt>());
}

Status SealedUnits::seal(uint32_t n, std::span<const std::span<const std::byte>> plain,
                         std::span<std::byte> out) const {
  if (out.size() > kSealedUnitStored) return fail(EINVAL, "more than one unit");
  return aead_seal(AeadCipher::aes256_gcm, key_, nonce_of(n), {}, plain, out);
}

Status SealedUnits::open_unit(uint32_t n, std::span<const std::byte> sealed, std::span<std::byte> out) const {
  return aead_open(AeadCipher::aes256_gcm, key_, nonce_of(n), {}, sealed, out);
}

Status SealedUnits::open_unit(uint32_t n, std::span<const std::byte> ciphertext,
                              std::span<const std::byte, kAeadTag> tag, std::span<std::byte> out) const {
  return aead_open(AeadCipher::aes256_gcm, key_, nonce_of(n), {}, ciphertext, tag, out);
}

}  // namespace cider
