#include "object/s3/credentials.h"

#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "object/s3/web_identity.h"
#include "object/s3/xml.h"

namespace cider::object::s3 {
namespace {

constexpr int64_t kRefreshBefore = 300;  // seconds before the keys expire
constexpr int64_t kLookAgain = 60;       // when there were none
constexpr int64_t kTryAgain = 10;        // after a failure, while there are keys that hold
constexpr Millis kMetadataTimeout{5000};
constexpr Millis kInstanceTimeout{1000};  // outside of AWS nobody answers
constexpr size_t kMetadataLimit = 64 << 10;

HttpOptions metadata_options() {
  HttpOptions options;
  options.use_proxy = false;
  options.connect_timeout = kInstanceTimeout;
  return options;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

using Section = std::map<std::string, std::string, std::less<>>;

// The settings below [name] (or, in the config file, [profile name]).
std::optional<Section> section_of(std::string_view ini, const std::string& name) {
  std::optional<Section> found;
  bool inside = false;
  while (!ini.empty()) {
    const size_t end = ini.find('\n');
    const std::string_view line = ini.substr(0, end);
    ini = end == ini.npos ? std::string_view() : ini.substr(end + 1);
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (content.front() == '[') {
      std::string_view title = trim(content.substr(1, content.find(']') - 1));
      if (title.starts_with("profile ")) title = trim(title.substr(8));
      inside = title == name;
      if (inside && !found) found.emplace();
      continue;
    }
    const size_t equals = content.find('=');
    // Indented lines belong to nested settings.
    if (!inside || equals == content.npos || line.front() == ' ' || line.front() == '\t') continue;
    found->insert_or_assign(std::string(trim(content.substr(0, equals))),
                            std::string(trim(content.substr(equals + 1))));
  }
  return found;
}

std::optional<std::string> read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

Result<std::optional<Credentials>> profile_credentials(std::string_view credentials, std::string_view config,
                                                       const std::string& name) {
  bool known = false;
  for (std::string_view ini : {credentials, config}) {
    const auto section = section_of(ini, name);
    if (!section) continue;
    known = true;
    auto setting = [&](std::string_view key) {
      const auto it = section->find(key);
      return it == section->end() ? std::string() : it->second;
    };
    if (!setting("aws_access_key_id").empty() && !setting("aws_secret_access_key").empty()) {
      return Credentials{
          setting("aws_access_key_id"), setting("aws_secret_access_key"), setting("aws_session_token"), {}};
    }
  }
  if (!known) return std::nullopt;
  for (std::string_view ini : {credentials, config}) {
    const auto section = section_of(ini, name);
    for (const char* way :
         {"role_arn", "credential_process", "sso_session", "sso_start_url", "web_identity_token_file"}) {
      if (section && section->contains(way)) {
        return fail(ENOTSUP,
                    "AWS profile \"" + name + "\" gets its keys by " + way +
                        ", which is not supported; export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
                        "AWS_SESSION_TOKEN");
      }
    }
  }
  return std::nullopt;
}

Result<Credentials> parse_metadata_credentials(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  auto field = [&](const char* name) {
    const auto it = parsed.is_object() ? parsed.find(name) : parsed.end();
    return it != parsed.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  Credentials out{field("AccessKeyId"), field("SecretAccessKey"), field("Token"), {}};
  if (out.access_key.empty() || out.secret_key.empty()) {
    const std::string code = field("Code");
    return fail(EACCES,
                "the metadata service gave no keys" + (code.empty() ? "" : " (" + code.substr(0, 100) + ")"));
  }
  if (const int64_t expires = parse_iso_time(field("Expiration")).sec; expires > 0) out.expires = expires;
  return out;
}

CredentialSource::CredentialSource(const Provider& provider, Credentials given, Environment env,
                                   const Clock& clock)
    : provider_(provider),
      given_(std::move(given)),
      env_(std::move(env)),
      clock_(clock),
      http_(metadata_options()) {}

Result<Credentials> CredentialSource::get(std::stop_token stop) {
  if (given_.access_key == "anonymous") return Credentials{};
  if (!given_.anonymous()) return given_;
  std::unique_lock lock(mutex_);
  for (;;) {
    const int64_t now = clock_.now().sec;
    if (known_ && (!known_->expires || now < *known_->expires - kRefreshBefore)) return *known_;
    const bool hold = known_ && now < *known_->expires;
    if (hold && (looking_ || now < try_again_)) return *known_;
    if (!looking_) break;
    looked_.wait(lock, stop, [this] { return !looking_; });
    if (stop.stop_requested()) return fail(EINTR);
  }
  looking_ = true;
  lock.unlock();
  auto found = look(stop);
  lock.lock();
  looking_ = false;
  looked_.notify_all();
  return take(std::move(found));
}

Result<Credentials> CredentialSource::take(Result<Credentials> found) {
  const int64_t now = clock_.now().sec;
  if (found && found->anonymous() && known_ && !known_->anonymous()) {
    found = fail(EACCES, "the service that gave this machine its keys gives none any more");
  }
  if (!found) {
    try_again_ = now + kTryAgain;
    if (known_ && now < *known_->expires) return *known_;
    return fail(found.error());
  }
  known_ = *std::move(found);
  if (known_->anonymous()) known_->expires = now + kRefreshBefore + kLookAgain;
  return *known_;
}

Result<Credentials> CredentialSource::look(const std::stop_token& stop) {
  auto variables = [&](std::string_view key, std::string_view secret, std::string_view token) -> Credentials {
    auto value = [&](std::string_view name) {
      return name.empty() ? std::string() : env_(std::string(name).c_str());
    };
    return {value(key), value(secret), value(token), {}};
  };
  const Credentials own =
      variables(provider_.key_variable, provider_.secret_variable, provider_.token_variable);
  if (!own.anonymous()) return own;
  if (!provider_.aws_credentials) return Credentials{};
  const Credentials aws = variables("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN");
  if (!aws.anonymous()) return aws;
  if (auto found = TRY(web_identity_credentials(env_, stop))) return *std::move(found);
  if (auto found = TRY(from_profile())) return *std::move(found);
  if (auto found = TRY(from_container(stop))) return *std::move(found);
  if (provider_.instance_metadata) {
    if (auto found = TRY(from_instance(stop))) return *std::move(found);
  }
  return Credentials{};
}

Result<std::optional<Credentials>> CredentialSource::from_profile() {
  const std::string asked = env_("AWS_PROFILE");
  const std::string name = asked.empty() ? "default" : asked;
  auto path = [&](const char* variable, const char* file) {
    const std::string given = env_(variable);
    return given.empty() ? env_("HOME") + "/.aws/" + file : given;
  };
  const auto credentials = read_whole(path("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
  const auto config = read_whole(path("AWS_CONFIG_FILE", "config"));
  auto found = TRY(profile_credentials(credentials.value_or(""), config.value_or(""), name));
  if (!found && !asked.empty()) {
    return fail(EINVAL, "AWS_PROFILE is \"" + asked +
                            "\", but there is no such profile with keys in ~/.aws/credentials "
                            "or ~/.aws/config");
  }
  return found;
}

Result<std::string> CredentialSource::ask(HttpRequest request, const std::stop_token& stop) {
  const auto response = TRY(http_.perform(request, nullptr, stop, kMetadataLimit));
  if (response.status != 200) {
    return fail(EACCES, "the metadata service answers " + std::to_string(response.status));
  }
  return response.text;
}

Result<std::optional<Credentials>> CredentialSource::from_container(const std::stop_token& stop) {
  const std::string relative = env_("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string full = env_("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (relative.empty() && full.empty()) return std::nullopt;
  HttpRequest request;
  request.url = relative.empty() ? full : "http://169.254.170.2" + relative;
  request.timeout = kMetadataTimeout;
  std::string token = env_("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = env_("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    token = trim(read_whole(file).value_or(""));
  }
  if (!token.empty()) request.headers.push_back("authorization: " + token);
  return TRY(parse_metadata_credentials(TRY(ask(std::move(request), stop))));
}

// IMDSv2: a token first. No service is no error; one that has no role is none either.
Result<std::optional<Credentials>> CredentialSource::from_instance(const std::stop_token& stop) {
  if (env_("AWS_EC2_METADATA_DISABLED") == "true") return std::nullopt;
  std::string service = env_("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (service.empty()) service = "http://169.254.169.254";
  while (service.ends_with('/')) service.pop_back();
  HttpRequest request;
  request.timeout = kInstanceTimeout;
  request.method = "PUT";
  request.url = service + "/latest/api/token";
  request.headers = {"x-aws-ec2-metadata-token-ttl-seconds: 21600"};
  const auto token = ask(request, stop);
  if (code_of(token) == EINTR) return fail(EINTR);
  if (!token) return std::nullopt;

  request.timeout = kMetadataTimeout;
  request.method = "GET";
  request.url = service + "/latest/meta-data/iam/security-credentials/";
  request.headers = {"x-aws-ec2-metadata-token: " + std::string(trim(*token))};
  const auto roles = ask(request, stop);
  if (code_of(roles) == EACCES) return std::nullopt;
  const std::string role(trim(std::string_view(TRY(roles)).substr(0, roles->find('\n'))));
  if (role.empty()) return std::nullopt;
  request.url += role;
  return TRY(parse_metadata_credentials(TRY(ask(std::move(request), stop))));
}

}  // namespace cider::object::s3
