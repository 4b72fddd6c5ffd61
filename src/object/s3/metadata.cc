#include "object/s3/metadata.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/file_io.h"
#include "base/text.h"
#include "object/s3/aws_service.h"
#include "object/s3/http.h"
#include "object/s3/json_fields.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {
namespace {

constexpr Millis kTimeout{5000};
constexpr Millis kInstanceTimeout{1000};  // outside of AWS nobody answers
constexpr size_t kAnswerLimit = 64 << 10;

HttpOptions options() {
  HttpOptions options;
  options.use_proxy = false;
  options.connect_timeout = kInstanceTimeout;
  return options;
}

Result<std::string> ask(HttpClient& http, const HttpRequest& request, const SourceContext& context) {
  const auto response = TRY(http.perform(request, nullptr, context.stop, kAnswerLimit));
  if (response.status != 200) {
    return fail(EACCES, "the metadata service answers " + std::to_string(response.status));
  }
  return response.text;
}

}  // namespace

Result<Credentials> parse_metadata_credentials(std::string_view json) {
  const auto parsed = parse_object(json);
  Credentials out{text_field(parsed, "AccessKeyId"),
                  text_field(parsed, "SecretAccessKey"),
                  text_field(parsed, "Token"),
                  {}};
  if (out.access_key.empty() || out.secret_key.empty()) {
    const std::string code = service_words(text_field(parsed, "Code"), {});
    return fail(EACCES, "the metadata service gave no keys" + (code.empty() ? "" : " (" + code + ")"));
  }
  if (const int64_t expires = parse_iso_time(text_field(parsed, "Expiration")).sec; expires > 0) {
    out.expires = expires;
  }
  return out;
}

Result<std::optional<Credentials>> container_credentials(const SourceContext& context) {
  const Environment& env = context.env;
  const std::string relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (relative.empty() && full.empty()) return std::nullopt;
  HttpRequest request;
  request.url = relative.empty() ? full : "http://169.254.170.2" + relative;
  request.timeout = kTimeout;
  std::string token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    token = trim(read_file(file).value_or(""));
  }
  if (!token.empty()) request.headers.push_back("authorization: " + token);
  HttpClient http(options());
  return TRY(parse_metadata_credentials(TRY(ask(http, request, context))));
}

// A token first. No service is no error; one that has no role is none either.
Result<std::optional<Credentials>> instance_credentials(const SourceContext& context) {
  if (context.env("AWS_EC2_METADATA_DISABLED") == "true") return std::nullopt;
  std::string service = context.env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (service.empty()) service = "http://169.254.169.254";
  while (service.ends_with('/')) service.pop_back();
  HttpClient http(options());
  HttpRequest request;
  request.timeout = kInstanceTimeout;
  request.method = "PUT";
  request.url = service + "/latest/api/token";
  request.headers = {"x-aws-ec2-metadata-token-ttl-seconds: 21600"};
  const auto token = ask(http, request, context);
  if (code_of(token) == EINTR) return fail(EINTR);
  if (!token) return std::nullopt;

  request.timeout = kTimeout;
  request.method = "GET";
  request.url = service + "/latest/meta-data/iam/security-credentials/";
  request.headers = {"x-aws-ec2-metadata-token: " + std::string(trim(*token))};
  const auto roles = ask(http, request, context);
  if (code_of(roles) == EACCES) return std::nullopt;
  const std::string role(trim(std::string_view(TRY(roles)).substr(0, roles->find('\n'))));
  if (role.empty()) return std::nullopt;
  request.url += role;
  return TRY(parse_metadata_credentials(TRY(ask(http, request, context))));
}

}  // namespace cider::object::s3
