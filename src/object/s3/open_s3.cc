// Opens stores of the table of compatible.cc.
#include "object/drivers.h"
#include "object/s3/s3_store.h"

namespace cider::object {
namespace s3 {
namespace {

HttpOptions http_options(const Endpoint& endpoint, const StoreConfig& config) {
  HttpOptions http;
  http.verify_tls = endpoint.verify_tls;
  http.cert_file = endpoint.cert_file;
  http.key_file = endpoint.key_file;
  http.user_agent = config.user_agent;
  http.memory = config.memory;
  return http;
}

}  // namespace

Result<std::vector<std::unique_ptr<ObjectStore>>> open_shards(std::span<const StoreConfig> shards,
                                                              const Environment& env) {
  const StoreConfig& any = shards.front();
  const Provider* provider = find_provider(any.storage);
  if (!provider) return fail(EINVAL, "storage \"" + any.storage + "\" does not speak S3");
  if (any.access_key.empty() != any.secret_key.empty() && any.access_key != "anonymous") {
    return fail(EINVAL, "--access-key and --secret-key go together");
  }
  const auto keys = std::make_shared<CredentialSource>(
      *provider, Credentials{any.access_key, any.secret_key, any.session_token, {}}, env);
  const auto trusted = certificates_of(TRY(parse_endpoint(*provider, any.bucket, env)).ca_file);
  std::vector<std::unique_ptr<ObjectStore>> stores;
  for (const StoreConfig& config : shards) {
    Endpoint endpoint = TRY(parse_endpoint(*provider, config.bucket, env));
    HttpOptions http = http_options(endpoint, config);
    http.trusted = trusted;
    stores.push_back(
        std::make_unique<S3Store>(*provider, std::move(endpoint), config, std::move(http), keys));
  }
  return stores;
}

}  // namespace s3

Result<std::vector<std::unique_ptr<ObjectStore>>> open_s3(std::span<const StoreConfig> shards) {
  return s3::open_shards(shards, s3::process_environment());
}

}  // namespace cider::object
