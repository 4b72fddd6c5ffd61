// Keys by web identity, as Kubernetes gives them to its pods: a token in a file is changed for keys of a role
// at AWS's Security Token Service (STS)
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html). The token is a
// secret: no message has it. Pure functions but for the file and the request; thread-safe.
#pragma once

#include <optional>
#include <stop_token>
#include <string_view>

#include "base/result.h"
#include "object/s3/credentials.h"
#include "object/s3/endpoint.h"

namespace cider::object::s3 {

// Keys of the role AWS_ROLE_ARN for the token in AWS_WEB_IDENTITY_TOKEN_FILE, which is read each time: it is
// replaced before it expires. The session has the name AWS_ROLE_SESSION_NAME, else "ciderfs". STS is that of
// AWS_REGION or AWS_DEFAULT_REGION, or the one at AWS_ENDPOINT_URL_STS. nullopt where no file is
// named. EINVAL without a role; ENOENT ... as opening the file says; EACCES where
// STS refuses; EAGAIN where it asks to try later; EIO for an answer that is none; else what the network says.
Result<std::optional<Credentials>> web_identity_credentials(const Environment& env, std::stop_token stop);

// <AssumeRoleWithWebIdentityResponse>: EIO for anything else.
Result<Credentials> parse_web_identity(std::string_view xml);

}  // namespace cider::object::s3
