// Keys by AWS's single sign-on (IAM Identity Center): the token of a login is changed for keys of a role
// (https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html).
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "object/s3/credentials.h"
#include "object/s3/sso_token.h"

namespace cider::object::s3 {

struct SsoRole {
  SsoLogin login;
  std::string account;
  std::string role;
};

// As sso_token(); EACCES where the service refuses, EAGAIN where it asks to try later, EIO for an answer that
// is none, else what the network says. The service is the one of the login's region or at
// AWS_ENDPOINT_URL_SSO.
Result<Credentials> sso_credentials(const SsoRole& role, const SourceContext& context);

// What the service answers: EIO for anything but keys that expire.
Result<Credentials> parse_sso_credentials(std::string_view json);

}  // namespace cider::object::s3
