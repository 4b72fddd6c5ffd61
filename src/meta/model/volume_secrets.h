// How secrets stand in the volume's document: AES-128-GCM under MD5(uuid). The uuid stands beside them, so
// this hides them from the eye and no more.
#pragma once

#include <string>

#include "base/result.h"

namespace cider::meta {

// base64(nonce, ciphertext, tag), as JuiceFS 1.4 pkg/meta/config.go Format.Encrypt. A new nonce every time.
Result<std::string> seal_secret(const std::string& uuid, const std::string& secret);
// EINVAL if it is no base64, too short, or sealed for another volume.
Result<std::string> unseal_secret(const std::string& uuid, const std::string& sealed);

}  // namespace cider::meta
