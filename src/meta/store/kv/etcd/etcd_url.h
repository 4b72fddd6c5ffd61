// META URLs of etcd, as JuiceFS takes them:
// etcd://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/PREFIX[?OPTIONS] with the options cacert, cert, key,
// server-name (each turns TLS on) and insecure-skip-verify.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/grpc_channel.h"

namespace cider::meta::kv {

struct EtcdUrl {
  std::string user;
  std::string password;                // else of META_PASSWORD, META_PASSWORD_FILE
  std::vector<std::string> endpoints;  // HOST:PORT
  std::string path;                    // "/prefix", or ""
  std::optional<TlsFiles> tls;

  // What stands before every key of the volume.
  std::string key_prefix() const { return path + '\xFD'; }
  std::string describe() const;  // without secrets
};

// EINVAL names what is wrong.
Result<EtcdUrl> parse_etcd_url(std::string_view text);

}  // namespace cider::meta::kv
