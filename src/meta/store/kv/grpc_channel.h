// Channels of gRPC to the servers of a cluster.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

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

// Tells servers that are away from those that this client cannot trust, or that don't trust it. Thread-safe.
class TlsJudge {
 public:
  explicit TlsJudge(std::optional<TlsFiles> tls) : tls_(std::move(tls)) {}
  // What became of a call to one of the servers: EACCES, in words, where trying again would be in vain. Only
  // until one of them has answered.
  Status judge(const grpc::Status& status, const std::string& server);

 private:
  const std::optional<TlsFiles> tls_;
  std::atomic<bool> answered_{false};
  std::atomic<int> dropped_{0};
};

}  // namespace cider::meta::kv
