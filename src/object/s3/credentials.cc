#include "object/s3/credentials.h"

#include <utility>

#include "object/s3/metadata.h"
#include "object/s3/profile.h"
#include "object/s3/web_identity.h"

namespace cider::object::s3 {
namespace {

constexpr int64_t kRefreshBefore = 300;  // seconds before the keys expire
constexpr int64_t kLookAgain = 60;       // when there were none
constexpr int64_t kTryAgain =
    10;  // while there are keys that hold: after a failure, and for keys that expire soon

Credentials variables(const Environment& env, std::string_view key, std::string_view secret,
                      std::string_view token) {
  auto value = [&](std::string_view name) {
    return name.empty() ? std::string() : env(std::string(name).c_str());
  };
  return {value(key), value(secret), value(token), {}};
}

}  // namespace

Credentials environment_credentials(const Environment& env) {
  return variables(env, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN");
}

CredentialSource::CredentialSource(const Provider& provider, Credentials given, Environment env,
                                   const Clock& clock)
    : provider_(provider), given_(std::move(given)), env_(std::move(env)), clock_(clock) {}

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
  auto found = look(std::move(stop));
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
  try_again_ = now + kTryAgain;
  if (!found) {
    if (known_ && now < *known_->expires) return *known_;
    // Of a request ENOENT would say that an object is missing.
    const int code = found.error().code;
    return fail(code == ENOENT ? EACCES : code, found.error().message);
  }
  known_ = *std::move(found);
  if (known_->anonymous()) known_->expires = now + kRefreshBefore + kLookAgain;
  return *known_;
}

Result<Credentials> CredentialSource::look(std::stop_token stop) {
  Credentials own =
      variables(env_, provider_.key_variable, provider_.secret_variable, provider_.token_variable);
  if (!own.anonymous()) return own;
  if (!provider_.aws_credentials) return Credentials{};
  Credentials aws = environment_credentials(env_);
  if (!aws.anonymous()) return aws;
  const SourceContext context{env_, clock_, std::move(stop)};
  if (auto found = TRY(environment_web_identity(context))) return *std::move(found);
  if (auto found = TRY(environment_profile(context))) return *std::move(found);
  if (auto found = TRY(container_credentials(context))) return *std::move(found);
  if (provider_.instance_metadata) {
    if (auto found = TRY(instance_credentials(context))) return *std::move(found);
  }
  return Credentials{};
}

}  // namespace cider::object::s3
