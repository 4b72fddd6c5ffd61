#include "object/s3/profile.h"

#include <algorithm>
#include <array>
#include <set>

#include "object/s3/credential_process.h"
#include "object/s3/metadata.h"
#include "object/s3/sso.h"
#include "object/s3/sts.h"
#include "object/s3/web_identity.h"

namespace cider::object::s3 {
namespace {

using Found = Result<std::optional<Credentials>>;

// The way from a profile over those that it names.
class Resolver {
 public:
  Resolver(const ProfileFiles& files, const std::string& first, const SourceContext& context)
      : files_(files), first_(first), context_(context) {}

  Found keys_of(const std::string& name);

 private:
  Found own_keys(const std::string& name, const Section& profile) const;
  Found source_of(const std::string& name, const Section& profile, const std::optional<Credentials>& own);
  Result<Credentials> of_source_profile(const std::string& name, const std::string& source);
  Result<Credentials> of_credential_source(const std::string& source) const;
  Found of_this_machine() const;
  Result<SsoRole> sso_role(const Section& profile) const;
  Result<Credentials> of_web_identity(const Section& profile) const;
  Result<Credentials> of_role(const Section& profile, const Credentials& by) const;
  // Of the environment or of the profile that was asked for first.
  std::string region() const;

  const ProfileFiles& files_;
  const std::string& first_;
  const SourceContext& context_;
  std::set<std::string> visited_;
};

bool uses_sso(const Section& profile) {
  constexpr auto kSettings = std::to_array<std::string_view>(
      {"sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"});
  return std::ranges::any_of(kSettings, [&](std::string_view name) { return profile.has(name); });
}

// What the SDK refuses as well, and what needs a person.
Status check(const Section& profile) {
  constexpr auto kWays = std::to_array<std::string_view>(
      {"source_profile", "credential_source", "credential_process", "web_identity_token_file"});
  std::string way;
  for (const std::string_view name : kWays) {
    if (!profile.has(name)) continue;
    if (!way.empty()) return fail(EINVAL, way + " and " + std::string(name) + " exclude each other");
    way = name;
  }
  if (!way.empty() && way != "credential_process" && !profile.has("role_arn")) {
    return fail(EINVAL, way + " needs role_arn beside it");
  }
  if (profile.has("role_arn") && profile.has("mfa_serial")) {
    return fail(
        ENOTSUP,
        "mfa_serial asks for a code that somebody has to type, which is not supported; get keys with "
        "`aws sts assume-role` and export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN");
  }
  if (profile.has("login_session")) {
    return fail(ENOTSUP,
                "login_session (`aws login`) is not supported; use `aws configure export-credentials` as its "
                "credential_process");
  }
  return {};
}

Error in_profile(const std::string& name, const Error& error) {
  if (error.code == EINTR) return error;
  return {error.code, "AWS profile \"" + name + "\": " + error.to_string()};
}

std::string Resolver::region() const {
  std::string region = environment_region(context_.env);
  if (!region.empty()) return region;
  const auto profile = files_.profile(first_);
  return profile ? profile->get("region") : region;
}

Found Resolver::own_keys(const std::string& name, const Section& profile) const {
  const Credentials keys{profile.get("aws_access_key_id"),
                         profile.get("aws_secret_access_key"),
                         profile.get("aws_session_token"),
                         {}};
  if (keys.access_key.empty() != keys.secret_key.empty()) {
    return fail(in_profile(name, {EINVAL, "aws_access_key_id and aws_secret_access_key go together"}));
  }
  return keys.access_key.empty() ? std::nullopt : std::optional(keys);
}

Found Resolver::keys_of(const std::string& name) {
  const auto profile = files_.profile(name);
  if (!profile) return std::nullopt;
  auto own = TRY(own_keys(name, *profile));
  if (!visited_.insert(name).second) {
    // A profile may name itself: the role for its own keys.
    if (own) return own;
    return fail(EINVAL, "AWS profile \"" + first_ + "\": its source_profiles lead in a circle back to \"" +
                            name + "\", which has no keys of its own");
  }
  if (Status checked = check(*profile); !checked) return fail(in_profile(name, checked.error()));
  auto source = source_of(name, *profile, own);
  if (!source || !*source || !profile->has("role_arn") || profile->has("web_identity_token_file"))
    return source;
  auto keys = of_role(*profile, **source);
  if (!keys) return fail(in_profile(name, keys.error()));
  return *std::move(keys);
}

Found Resolver::source_of(const std::string& name, const Section& profile,
                          const std::optional<Credentials>& own) {
  // Beside a source_profile, the keys of the profile that was asked for are not meant; those on the way are.
  if (profile.has("source_profile") && (name == first_ || !own)) {
    return TRY(of_source_profile(name, profile.get("source_profile")));
  }
  if (own) return own;
  Found found;
  if (profile.has("credential_source")) {
    found = of_credential_source(profile.get("credential_source"));
  } else if (profile.has("web_identity_token_file")) {
    found = of_web_identity(profile);
  } else if (uses_sso(profile)) {
    auto role = sso_role(profile);
    found = role ? Found(sso_credentials(*role, context_)) : Found(fail(role.error()));
  } else if (profile.has("credential_process")) {
    found = process_credentials(profile.get("credential_process"), context_);
  } else if (profile.has("role_arn")) {
    found = of_this_machine();
  }
  if (!found) return fail(in_profile(name, found.error()));
  return found;
}

Result<Credentials> Resolver::of_source_profile(const std::string& name, const std::string& source) {
  auto keys = TRY(keys_of(source));
  if (keys) return *std::move(keys);
  return fail(in_profile(name, {EINVAL, "its source_profile \"" + source + "\"" +
                                            (files_.profile(source) ? " has no keys" : " doesn't exist")}));
}

Result<Credentials> Resolver::of_credential_source(const std::string& source) const {
  std::optional<Credentials> keys;
  if (source == "Environment") {
    const Credentials variables = environment_credentials(context_.env);
    if (!variables.anonymous()) keys = variables;
  } else if (source == "EcsContainer") {
    keys = TRY(container_credentials(context_));
  } else if (source == "Ec2InstanceMetadata") {
    keys = TRY(instance_credentials(context_));
  } else {
    return fail(EINVAL, "credential_source is neither Environment, Ec2InstanceMetadata nor EcsContainer");
  }
  if (!keys) return fail(EACCES, "its credential_source " + source + " has no keys here");
  return *std::move(keys);
}

Found Resolver::of_this_machine() const {
  if (auto keys = TRY(container_credentials(context_))) return keys;
  if (auto keys = TRY(instance_credentials(context_))) return keys;
  return fail(
      EACCES,
      "role_arn without source_profile or credential_source is for the keys of this machine, which has "
      "none");
}

Result<SsoRole> Resolver::sso_role(const Section& profile) const {
  const std::string session = profile.get("sso_session");
  const auto section = session.empty() ? std::optional(profile) : files_.sso_session(session);
  if (!section) return fail(EINVAL, "there is no section [sso-session " + session + "] in AWS's config file");
  auto needed = [](const Section& in, const char* name) -> Result<std::string> {
    if (!in.has(name)) return fail(EINVAL, std::string("single sign-on needs ") + name);
    return in.get(name);
  };
  const std::string start_url = TRY(needed(*section, "sso_start_url"));
  return SsoRole{.login = {.name = session.empty() ? start_url : session,
                           .region = TRY(needed(*section, "sso_region")),
                           .renew = !session.empty()},
                 .account = TRY(needed(profile, "sso_account_id")),
                 .role = TRY(needed(profile, "sso_role_name"))};
}

Result<Credentials> Resolver::of_web_identity(const Section& profile) const {
  return web_identity_credentials({.token_file = profile.get("web_identity_token_file"),
                                   .role = profile.get("role_arn"),
                                   .session = profile.get("role_session_name"),
                                   .region = region()},
                                  context_);
}

Result<Credentials> Resolver::of_role(const Section& profile, const Credentials& by) const {
  Pairs more;
  if (const std::string id = profile.get("external_id"); !id.empty()) more.emplace_back("ExternalId", id);
  if (const std::string seconds = profile.get("duration_seconds"); !seconds.empty()) {
    if (seconds.find_first_not_of("0123456789") != seconds.npos) {
      return fail(EINVAL, "duration_seconds is \"" + seconds + "\", which is no number");
    }
    more.emplace_back("DurationSeconds", seconds);
  }
  return ask_sts({.action = "AssumeRole",
                  .role = profile.get("role_arn"),
                  .session = profile.get("role_session_name"),
                  .more = std::move(more),
                  .region = region(),
                  .secret = profile.get("external_id"),
                  .signed_by = by},
                 context_);
}

}  // namespace

Result<std::optional<Credentials>> profile_credentials(const ProfileFiles& files, const std::string& name,
                                                       const SourceContext& context) {
  return Resolver(files, name, context).keys_of(name);
}

Result<std::optional<Credentials>> environment_profile(const SourceContext& context) {
  std::string asked = context.env("AWS_PROFILE");
  if (asked.empty()) asked = context.env("AWS_DEFAULT_PROFILE");
  const ProfileFiles files = ProfileFiles::read(context.env);
  if (!asked.empty() && !files.profile(asked)) {
    return fail(EINVAL, "AWS_PROFILE is \"" + asked +
                            "\", but there is no such profile in ~/.aws/credentials or ~/.aws/config");
  }
  return profile_credentials(files, asked.empty() ? "default" : asked, context);
}

}  // namespace cider::object::s3
