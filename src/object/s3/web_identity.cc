#include "object/s3/web_identity.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <pugixml.hpp>
#include <string>
#include <system_error>

#include "object/s3/http.h"
#include "object/s3/sigv4.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {
namespace {

constexpr Millis kConnectTimeout{5'000};
constexpr Millis kTimeout{10'000};
constexpr size_t kAnswerLimit = 64 << 10;
constexpr size_t kMaxWords = 300;
constexpr std::string_view kBlanks = " \t\r\n";

// What passes by itself.
constexpr auto kLater = std::to_array<std::string_view>(
    {"Throttling", "ThrottlingException", "IDPCommunicationError", "ServiceUnavailable"});

Result<std::string> read_token(const std::string& path) {
  const std::string file = "the token file " + path + " of AWS_WEB_IDENTITY_TOKEN_FILE";
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int code = errno != 0 ? errno : EIO;
    return fail(code, file + " can't be read: " + std::generic_category().message(code));
  }
  std::string token(std::istreambuf_iterator<char>(in), {});
  token.erase(token.find_last_not_of(kBlanks) + 1);
  token.erase(0, token.find_first_not_of(kBlanks));
  if (token.empty()) return fail(EINVAL, file + " is empty");
  return token;
}

std::string sts_url(const Environment& env) {
  std::string url = env("AWS_ENDPOINT_URL_STS");
  if (url.empty()) {
    std::string region = env("AWS_REGION");
    if (region.empty()) region = env("AWS_DEFAULT_REGION");
    url = "https://sts." + region + (region.empty() ? "" : ".") + "amazonaws.com" +
          (region.starts_with("cn-") ? ".cn" : "");
  }
  while (url.ends_with('/')) url.pop_back();
  return url + "/";
}

// The server's words without the token, which it repeats where it finds it malformed, and without what a
// terminal would take for more than words.
std::string words(std::string text, std::string_view token) {
  for (size_t at = 0; (at = text.find(token, at)) != text.npos;) text.replace(at, token.size(), "(token)");
  text.resize(std::min(text.size(), kMaxWords));
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

Error refusal(const HttpResponse& response, std::string_view role, std::string_view token) {
  pugi::xml_document document;
  document.load_buffer(response.text.data(), response.text.size(), pugi::parse_default, pugi::encoding_utf8);
  const pugi::xml_node error = document.child("ErrorResponse").child("Error");
  const std::string code = words(error.child_value("Code"), token);
  const std::string message = words(error.child_value("Message"), token);
  const bool later = response.status >= 500 || response.status == 429 || std::ranges::count(kLater, code) > 0;
  std::string text = "STS gives no keys for the role " + std::string(role) + ": ";
  text += code.empty() ? "status " + std::to_string(response.status)
                       : code + " (" + std::to_string(response.status) + ")";
  if (!message.empty()) text += ": " + message;
  return {later ? EAGAIN : EACCES, std::move(text)};
}

}  // namespace

Result<Credentials> parse_web_identity(std::string_view xml) {
  pugi::xml_document document;
  document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  const pugi::xml_node keys = document.child("AssumeRoleWithWebIdentityResponse")
                                  .child("AssumeRoleWithWebIdentityResult")
                                  .child("Credentials");
  Credentials out{keys.child_value("AccessKeyId"), keys.child_value("SecretAccessKey"),
                  keys.child_value("SessionToken"), parse_iso_time(keys.child_value("Expiration")).sec};
  if (out.access_key.empty() || out.secret_key.empty() || out.session_token.empty() || *out.expires <= 0) {
    return fail(EIO, "the answer of STS has no keys that expire");
  }
  return out;
}

Result<std::optional<Credentials>> web_identity_credentials(const Environment& env, std::stop_token stop) {
  const std::string file = env("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (file.empty()) return std::nullopt;
  const std::string role = env("AWS_ROLE_ARN");
  if (role.empty()) return fail(EINVAL, "AWS_WEB_IDENTITY_TOKEN_FILE needs AWS_ROLE_ARN beside it");
  const std::string token = TRY(read_token(file));
  const std::string session = env("AWS_ROLE_SESSION_NAME");

  HttpOptions options;
  options.connect_timeout = kConnectTimeout;
  HttpRequest request;
  request.method = "POST";  // the token stays out of the URL, which proxies log
  request.url = sts_url(env);
  request.headers = {"content-type: application/x-www-form-urlencoded", "accept: application/xml"};
  request.text = canonical_query({{"Action", "AssumeRoleWithWebIdentity"},
                                  {"Version", "2011-06-15"},
                                  {"RoleArn", role},
                                  {"RoleSessionName", session.empty() ? "ciderfs" : session},
                                  {"WebIdentityToken", token}});
  request.timeout = kTimeout;
  // A connection of its own: the next request is most of an hour away.
  auto response = HttpClient(options).perform(request, nullptr, std::move(stop), kAnswerLimit);
  if (!response) {
    if (response.error().code == EINTR) return fail(response.error());
    return fail(response.error().code, "STS can't be asked for keys: " + response.error().to_string());
  }
  if (response->status != 200) return fail(refusal(*response, role, token));
  return TRY(parse_web_identity(response->text));
}

}  // namespace cider::object::s3
