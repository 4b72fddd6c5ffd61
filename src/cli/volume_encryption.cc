#include "cli/volume_encryption.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace cider::cli {
namespace {

constexpr size_t kLongestKey = 1 << 20;

}  // namespace

Result<std::string> read_rsa_key(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string pem(kLongestKey + 1, '\0');
  file.read(pem.data(), static_cast<std::streamsize>(pem.size()));
  pem.resize(static_cast<size_t>(file.gcount()));
  if (file.bad() || pem.empty()) {
    const int code = errno != 0 ? errno : EINVAL;
    return fail(code,
                "--encrypt-rsa-key " + path + ": " + (errno != 0 ? Error{code, {}}.to_string() : "is empty"));
  }
  if (pem.size() > kLongestKey) return fail(EINVAL, "--encrypt-rsa-key " + path + ": too long for a key");
  return pem;
}

Result<std::shared_ptr<const object::Encryptor>> volume_encryptor(const meta::Volume& volume) {
  if (volume.encrypt_key.empty()) return nullptr;
  if (volume.encrypt_key == meta::kRemovedSecret) {
    return fail(EINVAL, "the RSA key of volume " + volume.name +
                            " was removed from its setting by a dump; set it again with `ciderfs format "
                            "--encrypt-rsa-key FILE META-URL " +
                            volume.name + "`");
  }
  const char* passphrase = std::getenv("JFS_RSA_PASSPHRASE");
  auto encryptor =
      object::Encryptor::create(volume.encrypt_key, passphrase ? passphrase : "", volume.encrypt_algo);
  if (!encryptor) {
    return fail(encryptor.error().code,
                "volume " + volume.name + " is encrypted: " + encryptor.error().to_string());
  }
  return std::shared_ptr<const object::Encryptor>(*std::move(encryptor));
}

Result<std::shared_ptr<const AeadKey>> cache_key(const object::Encryptor* encryptor,
                                                 const std::string& uuid) {
  if (!encryptor) return nullptr;
  return std::make_shared<const AeadKey>(TRY(encryptor->key().derive("ciderfs cache " + uuid)));
}

}  // namespace cider::cli
