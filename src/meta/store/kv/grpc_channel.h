// Channels of gRPC to the servers of a cluster.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace grpc {
class Channel;
}

namespace cider::meta::kv {

struct TlsFiles {
  std::string ca;
  std::string cert;
  std::string key;
  std::string server_name;  // that the certificate must be for; empty: the host
  bool skip_verify = false;
};

// Connects with the first call; never repeats a call by itself. The errors of files that cannot be read.
Result<std::shared_ptr<grpc::Channel>> open_channel(const std::string& host_and_port,
                                                    const std::optional<TlsFiles>& tls);

}  // namespace cider::meta::kv
