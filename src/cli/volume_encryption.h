// The RSA key of an encrypted volume: from a file into the setting, and from there to the object store and
// the disk cache.
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

// What encrypts the volume's blocks on local disks: the same key for whoever can decrypt its objects, so that
// staged blocks outlive a crash, and it needn't be kept anywhere. Null for a volume that isn't encrypted.
Result<std::shared_ptr<const AeadKey>> cache_key(const object::Encryptor* encryptor, const std::string& uuid);

}  // namespace cider::cli
