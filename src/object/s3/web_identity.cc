#include "object/s3/web_identity.h"

#include <system_error>

#include "base/file_io.h"
#include "base/text.h"
#include "object/s3/sts.h"

namespace cider::object::s3 {
namespace {

Result<std::string> read_token(const std::string& path) {
  const std::string file = "the web identity's token file " + path;
  const auto content = read_file(path);
  if (!content) {
    const int code = content.error().code;
    return fail(code, file + " can't be read: " + std::generic_category().message(code));
  }
  const std::string_view token = trim(*content);
  if (token.empty()) return fail(EINVAL, file + " is empty");
  return std::string(token);
}

}  // namespace

Result<Credentials> web_identity_credentials(const WebIdentity& identity, const SourceContext& context) {
  const std::string token = TRY(read_token(identity.token_file));
  return ask_sts({.action = "AssumeRoleWithWebIdentity",
                  .role = identity.role,
                  .session = identity.session,
                  .more = {{"WebIdentityToken", token}},
                  .region = identity.region,
                  .secret = token},
                 context);
}

Result<std::optional<Credentials>> environment_web_identity(const SourceContext& context) {
  const Environment& env = context.env;
  const WebIdentity identity = {.token_file = env("AWS_WEB_IDENTITY_TOKEN_FILE"),
                                .role = env("AWS_ROLE_ARN"),
                                .session = env("AWS_ROLE_SESSION_NAME"),
                                .region = environment_region(env)};
  if (identity.token_file.empty()) return std::nullopt;
  if (identity.role.empty()) return fail(EINVAL, "AWS_WEB_IDENTITY_TOKEN_FILE needs AWS_ROLE_ARN beside it");
  return TRY(web_identity_credentials(identity, context));
}

}  // namespace cider::object::s3
