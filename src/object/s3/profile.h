// Keys of a profile of AWS's files, in whichever way it gets them
// (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html): keys that stand in it,
// those of a role (for the keys of another profile or of this machine, or for a web identity), of single
// sign-on, of a program. In which order they count is as in AWS's SDK for Go. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "object/s3/credentials.h"
#include "object/s3/profile_files.h"

namespace cider::object::s3 {

// nullopt where there is no such profile or it says nothing of keys. EINVAL for what can't be meant, ENOTSUP
// for what isn't supported; else what the source says. All with the profile's name.
Result<std::optional<Credentials>> profile_credentials(const ProfileFiles& files, const std::string& name,
                                                       const SourceContext& context);

// Of the profile AWS_PROFILE, AWS_DEFAULT_PROFILE or "default"; EINVAL where one is named that isn't there.
Result<std::optional<Credentials>> environment_profile(const SourceContext& context);

}  // namespace cider::object::s3
