// Keys by web identity, as Kubernetes gives them to its pods: a token in a file is changed for keys of a role
// at AWS's Security Token Service
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html). The token is a
// secret: no message has it. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "object/s3/credentials.h"

namespace cider::object::s3 {

struct WebIdentity {
  std::string token_file;  // is read each time: the token is replaced before it expires
  std::string role;
  std::string session;
  std::string region;
};

// ENOENT ... as opening the file says, EINVAL where it is empty; else as ask_sts().
Result<Credentials> web_identity_credentials(const WebIdentity& identity, const SourceContext& context);

// Of AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME. nullopt where no file is named,
// EINVAL without a role.
Result<std::optional<Credentials>> environment_web_identity(const SourceContext& context);

}  // namespace cider::object::s3
