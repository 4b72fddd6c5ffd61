#include "object/s3/sts.h"

#include <pugixml.hpp>
#include <utility>

#include "object/s3/aws_service.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {
namespace {

constexpr const char* kGlobalRegion = "us-east-1";  // the one that the global service is signed for
constexpr const char* kForm = "application/x-www-form-urlencoded";

void sign(HttpRequest& http, const StsRequest& request, int64_t now) {
  const size_t scheme = http.url.find("://");
  const size_t begin = scheme == http.url.npos ? 0 : scheme + 3;
  const size_t slash = http.url.find('/', begin);
  const std::string date = amz_date(now);
  RequestToSign to_sign = {.method = http.method,
                           .path = http.url.substr(slash),
                           .query = {},
                           .headers = {{"content-type", kForm},
                                       {"host", http.url.substr(begin, slash - begin)},
                                       {"x-amz-date", date}},
                           .payload_hash = sha256_hex(http.text)};
  const Credentials& by = request.signed_by;
  if (!by.session_token.empty()) to_sign.headers.emplace_back("x-amz-security-token", by.session_token);
  const Signer signer = {.access_key = by.access_key,
                         .secret_key = by.secret_key,
                         .region = request.region.empty() ? kGlobalRegion : request.region,
                         .service = "sts"};
  http.headers.push_back("authorization: " + authorization(signer, to_sign, date));
  http.headers.push_back("x-amz-date: " + date);
  if (!by.session_token.empty()) http.headers.push_back("x-amz-security-token: " + by.session_token);
}

Error refusal(const HttpResponse& response, const StsRequest& request) {
  pugi::xml_document document;
  document.load_buffer(response.text.data(), response.text.size(), pugi::parse_default, pugi::encoding_utf8);
  const pugi::xml_node error = document.child("ErrorResponse").child("Error");
  auto words = [&](const char* name) {
    const Credentials& by = request.signed_by;
    return service_words(error.child_value(name), {request.secret, by.secret_key, by.session_token});
  };
  return aws_refusal("STS gives no keys for the role " + request.role, response.status, words("Code"),
                     words("Message"));
}

}  // namespace

std::string environment_region(const Environment& env) {
  std::string region = env("AWS_REGION");
  return region.empty() ? env("AWS_DEFAULT_REGION") : region;
}

Result<Credentials> parse_sts_answer(std::string_view xml, const std::string& action) {
  pugi::xml_document document;
  document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  const pugi::xml_node keys =
      document.child((action + "Response").c_str()).child((action + "Result").c_str()).child("Credentials");
  Credentials out{keys.child_value("AccessKeyId"), keys.child_value("SecretAccessKey"),
                  keys.child_value("SessionToken"), parse_iso_time(keys.child_value("Expiration")).sec};
  if (out.access_key.empty() || out.secret_key.empty() || out.session_token.empty() || *out.expires <= 0) {
    return fail(EIO, "the answer of STS has no keys that expire");
  }
  return out;
}

Result<Credentials> ask_sts(const StsRequest& request, const SourceContext& context) {
  Pairs form = request.more;
  form.emplace_back("Action", request.action);
  form.emplace_back("Version", "2011-06-15");
  form.emplace_back("RoleArn", request.role);
  form.emplace_back("RoleSessionName", request.session.empty() ? "ciderfs" : request.session);
  HttpRequest http;
  http.method = "POST";  // secrets stay out of the URL, which proxies log
  http.url = aws_service_url("AWS_ENDPOINT_URL_STS", "sts", request.region, context.env) + "/";
  http.headers = {std::string("content-type: ") + kForm, "accept: application/xml"};
  http.text = canonical_query(form);
  if (!request.signed_by.anonymous()) sign(http, request, context.now());
  const auto response = TRY(ask_aws_service("STS", std::move(http), context));
  if (response.status != 200) return fail(refusal(response, request));
  return parse_sts_answer(response.text, request.action);
}

}  // namespace cider::object::s3
