// Keys that the place where a program runs has for it: those of a container's task or pod, those of an
// instance's role (IMDSv2)
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html,
// .../feature-imds-credentials.html). Thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "object/s3/credentials.h"

namespace cider::object::s3 {

// Of the service that AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or ..._FULL_URI names; nullopt where none is.
// EACCES where it refuses, else what the network says.
Result<std::optional<Credentials>> container_credentials(const SourceContext& context);
// nullopt where no service answers or it has no role.
Result<std::optional<Credentials>> instance_credentials(const SourceContext& context);

// What either service answers: EACCES for what has no keys.
Result<Credentials> parse_metadata_credentials(std::string_view json);

}  // namespace cider::object::s3
