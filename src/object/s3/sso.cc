#include "object/s3/sso.h"

#include <nlohmann/json.hpp>

#include "object/s3/aws_service.h"
#include "object/s3/json_fields.h"
#include "object/s3/sigv4.h"

namespace cider::object::s3 {
namespace {

Error refusal(const HttpResponse& response, const SsoRole& role, const std::string& token) {
  const auto said = parse_object(response.text);
  const std::string kind(response.header("x-amzn-errortype"));
  const std::string code = service_words(kind.substr(0, kind.find(':')), {token});
  const std::string message = service_words(text_field(said, "message"), {token});
  return aws_refusal(
      "the single sign-on gives no keys for the role " + role.role + " of account " + role.account,
      response.status, code, message + (response.status == 401 ? "; run `aws sso login`" : ""));
}

}  // namespace

Result<Credentials> parse_sso_credentials(std::string_view json) {
  const auto parsed = parse_object(json);
  const auto keys = parsed.is_object() ? parsed.value("roleCredentials", nlohmann::json()) : nlohmann::json();
  const int64_t milliseconds = integer_field(keys, "expiration").value_or(0);
  Credentials out{text_field(keys, "accessKeyId"), text_field(keys, "secretAccessKey"),
                  text_field(keys, "sessionToken"), milliseconds / 1000};
  if (out.access_key.empty() || out.secret_key.empty() || out.session_token.empty() || *out.expires <= 0) {
    return fail(EIO, "the answer of the single sign-on has no keys that expire");
  }
  return out;
}

Result<Credentials> sso_credentials(const SsoRole& role, const SourceContext& context) {
  const std::string token = TRY(sso_token(role.login, context));
  HttpRequest request;
  request.url = aws_service_url("AWS_ENDPOINT_URL_SSO", "portal.sso", role.login.region, context.env) +
                "/federation/credentials?" +
                canonical_query({{"account_id", role.account}, {"role_name", role.role}});
  request.headers = {"x-amz-sso_bearer_token: " + token};
  const auto response = TRY(ask_aws_service("the single sign-on", std::move(request), context));
  if (response.status != 200) return fail(refusal(response, role, token));
  return parse_sso_credentials(response.text);
}

}  // namespace cider::object::s3
