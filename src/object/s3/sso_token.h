// The token that `aws sso login` leaves for a login, in ~/.aws/sso/cache
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html). No message has it.
// Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "object/s3/credentials.h"

namespace cider::object::s3 {

struct SsoToken {
  std::string access_token;
  int64_t expires = 0;  // seconds since 1970
  // What a new token is got with; empty where it can't be.
  std::string refresh_token;
  std::string client_id;
  std::string client_secret;

  bool renewable() const { return !refresh_token.empty() && !client_id.empty() && !client_secret.empty(); }
};

struct SsoLogin {
  std::string name;  // of the session or, in the old form, the URL where one logs in
  std::string region;
  bool renew = false;  // a token that has expired, as those of sessions do every hour
};

// The token, which holds. A renewed one goes into its file, as all programs that know the session expect.
// EACCES, with what to do, where there is none or it has expired; EAGAIN where the service that renews asks
// to try later; else what the network says. That service is the one of the region or at
// AWS_ENDPOINT_URL_SSO_OIDC.
Result<std::string> sso_token(const SsoLogin& login, const SourceContext& context);

// "" without HOME.
std::string sso_token_path(const std::string& login_name, const Environment& env);
// nullopt for what has no token.
std::optional<SsoToken> parse_sso_token(std::string_view json);
// The file's bytes with the token that the service's answer, come at `now`, has; nullopt where it has none.
std::optional<std::string> renewed_sso_token(std::string_view json, std::string_view answer, int64_t now);

}  // namespace cider::object::s3
