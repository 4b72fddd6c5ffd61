// Opens a store of the table of compatible.cc.
#include "object/drivers.h"
#include "object/s3/s3_store.h"

namespace cider::object {

Result<std::unique_ptr<ObjectStore>> open_s3(const StoreConfig& config) {
  const s3::Provider* provider = s3::find_provider(config.storage);
  if (!provider) return fail(EINVAL, "storage \"" + config.storage + "\" does not speak S3");
  const s3::Environment env = s3::process_environment();
  s3::Endpoint endpoint = TRY(s3::parse_endpoint(*provider, config.bucket, env));
  if (config.access_key.empty() != config.secret_key.empty() && config.access_key != "anonymous") {
    return fail(EINVAL, "--access-key and --secret-key go together");
  }
  s3::HttpOptions http;
  http.verify_tls = endpoint.verify_tls;
  http.ca_file = endpoint.ca_file;
  http.cert_file = endpoint.cert_file;
  http.key_file = endpoint.key_file;
  http.user_agent = config.user_agent;
  http.memory = config.memory;
  return std::make_unique<s3::S3Store>(*provider, std::move(endpoint), config, std::move(http), env);
}

}  // namespace cider::object
