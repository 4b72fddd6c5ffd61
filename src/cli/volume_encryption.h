// The RSA key of an encrypted volume: from a file into the setting, and from there to the object store.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "meta/model/volume.h"
#include "object/crypto/encryptor.h"

namespace cider::cli {

// The PEM in a file, byte for byte, as the setting keeps it. Whether it is a key shows when it is used.
Result<std::string> read_rsa_key(const std::string& path);

// What encrypts the volume's objects; its passphrase is in the environment variable JFS_RSA_PASSPHRASE. Null
// for a volume that isn't encrypted. EACCES: passphrase missing or wrong; EINVAL: no RSA key, or one that a
// dump has removed; ENOTSUP: an algorithm that is not there.
Result<std::shared_ptr<const object::Encryptor>> volume_encryptor(const meta::Volume& volume);

}  // namespace cider::cli
