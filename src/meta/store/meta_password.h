// The password of a database whose META URL has none.
#pragma once

#include <string>

#include "base/result.h"

namespace cider::meta {

// META_PASSWORD, or the first line of the file that META_PASSWORD_FILE names (EINVAL where it cannot be
// read); empty where neither is set.
Result<std::string> password_from_environment();

}  // namespace cider::meta
