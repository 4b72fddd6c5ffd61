// What a bucket's URL says: where the store is, which bucket, which region. The forms are those of JuiceFS
// (`--bucket` of its manual's "How to Set Up Object Storage"); docs/object-stores.md lists them. Pure
// functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cider::object::s3 {

// Looks up an environment variable; "" where it isn't set.
using Environment = std::function<std::string(const char* name)>;
Environment process_environment();

struct Endpoint {
  bool tls = true;
  std::string host;  // with its port where that is not the scheme's own; without the bucket
  std::string bucket;
  std::string region;
  bool path_style = true;  // https://host/bucket/key; else https://bucket.host/key
  bool amazon = false;     // AWS itself: another region has another host
  // Options behind '?'.
  bool verify_tls = true;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool checksum = true;
  bool expect_continue = false;

  std::string url_host() const { return path_style ? host : bucket + "." + host; }
  // Encoded, of an object or, without a key, of the bucket.
  std::string path(std::string_view key) const;
  std::string url(std::string_view key) const {
    return (tls ? "https://" : "http://") + url_host() + path(key);
  }
};

struct Provider;

// EINVAL says what is wrong with the URL, never repeating what may be a secret.
Result<Endpoint> parse_endpoint(const Provider& provider, std::string_view bucket_url,
                                const Environment& env);

}  // namespace cider::object::s3
