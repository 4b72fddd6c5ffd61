#include "object/s3/sso_token.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>

#include "base/bytes.h"
#include "base/file_io.h"
#include "base/unique_fd.h"
#include "object/s3/aws_service.h"
#include "object/s3/json_fields.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {
namespace {

constexpr const char* kLogIn = "; run `aws sso login`";

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha1(), nullptr);
  return to_hex({reinterpret_cast<const char*>(out.data()), size});
}

// In one step, for others read it.
Status replace_file(const std::string& path, std::string_view bytes) {
  std::string temporary = path + ".XXXXXX";
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return fail_errno(temporary);
  Status done = write_all(fd.get(), std::as_bytes(std::span(bytes)));
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) done = fail_errno(path);
  if (!done) (void)::unlink(temporary.c_str());
  return done;
}

Result<std::string> renew(const SsoLogin& login, const std::string& path, const std::string& file,
                          const SsoToken& token, const SourceContext& context) {
  HttpRequest request;
  request.method = "POST";
  request.url = aws_service_url("AWS_ENDPOINT_URL_SSO_OIDC", "oidc", login.region, context.env) + "/token";
  request.headers = {"content-type: application/json"};
  request.text = nlohmann::json{{"clientId", token.client_id},
                                {"clientSecret", token.client_secret},
                                {"grantType", "refresh_token"},
                                {"refreshToken", token.refresh_token}}
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto response = TRY(ask_aws_service("the single sign-on", std::move(request), context));
  if (response.status != 200) {
    const auto said = parse_object(response.text);
    auto words = [&](const char* name) {
      return service_words(text_field(said, name), {token.refresh_token, token.client_secret});
    };
    return fail(
        aws_refusal("the single sign-on at " + login.name + " has expired and can't be renewed" + kLogIn,
                    response.status, words("error"), words("error_description")));
  }
  const auto renewed = renewed_sso_token(file, response.text, context.now());
  if (!renewed) return fail(EIO, "the answer that renews the single sign-on has no token");
  if (Status kept = replace_file(path, *renewed); !kept) {
    return fail(kept.error().code,
                "the renewed token of the single sign-on can't be kept: " + kept.error().to_string());
  }
  return parse_sso_token(*renewed)->access_token;
}

}  // namespace

std::string sso_token_path(const std::string& login_name, const Environment& env) {
  const std::string home = env("HOME");
  return home.empty() ? home : home + "/.aws/sso/cache/" + sha1_hex(login_name) + ".json";
}

std::optional<SsoToken> parse_sso_token(std::string_view json) {
  const auto parsed = parse_object(json);
  SsoToken token = {.access_token = text_field(parsed, "accessToken"),
                    .expires = parse_iso_time(text_field(parsed, "expiresAt")).sec,
                    .refresh_token = text_field(parsed, "refreshToken"),
                    .client_id = text_field(parsed, "clientId"),
                    .client_secret = text_field(parsed, "clientSecret")};
  if (token.access_token.empty() || token.expires <= 0) return std::nullopt;
  return token;
}

std::optional<std::string> renewed_sso_token(std::string_view json, std::string_view answer, int64_t now) {
  constexpr int64_t kLongest = int64_t{365} * 86400;
  auto file = parse_object(json);
  const auto said = parse_object(answer);
  const std::string token = text_field(said, "accessToken");
  const int64_t seconds = integer_field(said, "expiresIn").value_or(0);
  if (token.empty() || seconds <= 0 || seconds > kLongest) return std::nullopt;
  file["accessToken"] = token;
  file["expiresAt"] = format_time(now + seconds);
  if (const std::string next = text_field(said, "refreshToken"); !next.empty()) file["refreshToken"] = next;
  return file.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The stores of a volume, several with shards, look for keys on their own: one of them renews the token, the
// others find it in the file.
Result<std::string> sso_token(const SsoLogin& login, const SourceContext& context) {
  static std::mutex renewing;
  const std::lock_guard lock(renewing);
  const std::string path = sso_token_path(login.name, context.env);
  const auto file = read_file(path);
  if (!file) return fail(EACCES, "nobody is logged in at " + login.name + kLogIn);
  const auto token = parse_sso_token(*file);
  if (!token) return fail(EACCES, "the file " + path + " has no token of a single sign-on" + kLogIn);
  if (context.now() < token->expires) return token->access_token;
  if (!login.renew || !token->renewable()) {
    return fail(EACCES, "the single sign-on at " + login.name + " has expired" + kLogIn);
  }
  return renew(login, path, *file, *token, context);
}

}  // namespace cider::object::s3
