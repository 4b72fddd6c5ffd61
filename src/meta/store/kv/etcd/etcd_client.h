// Requests to the servers of an etcd cluster: finds one that answers, logs in, tries again.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/etcd/etcd_url.h"
#include "meta/store/kv/late_stop.h"

namespace etcdserverpb {
class RangeRequest;
class RangeResponse;
class TxnRequest;
class TxnResponse;
}  // namespace etcdserverpb

namespace cider::meta::kv {

class EtcdClient {
 public:
  static constexpr std::chrono::seconds kPatience{300};

  explicit EtcdClient(EtcdUrl url);
  ~EtcdClient();

  Status open();  // the files of TLS are read; nobody is asked
  const EtcdUrl& url() const { return url_; }

  // Asks until there is an answer: for up to 300 s, then ETIMEDOUT; EINTR when `stop` is requested.
  Status read(const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse* response,
              const std::stop_token& stop);
  Status read(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response,
              const std::stop_token& stop);

  enum class Sent { answered, not_sent, unknown };
  // Sends it once. `not_sent` with EINTR or ETIMEDOUT if no server could be reached, or with what the server
  // refused it for; `unknown`: it may have been carried out, or will be.
  Sent send(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response, Status* error,
            const Interrupt& stop, std::chrono::seconds patience = kPatience);

  bool answers();  // a server, within a second

  // How often a server was asked, for tests.
  uint64_t requests() const { return requests_; }

 private:
  struct Server;
  class Attempt;

  template <class Request, class Response>
  Status ask(const Request& request, Response* response, const std::stop_token& stop);
  Result<std::shared_ptr<Server>> reachable(const std::stop_token& stop,
                                            std::chrono::steady_clock::time_point end);
  Status look_at(const std::shared_ptr<Server>& server);
  void try_another(const std::shared_ptr<Server>& failed);
  Result<std::string> token(const std::shared_ptr<Server>& server);
  void forget_token();

  const EtcdUrl url_;
  TlsJudge judge_;
  std::vector<std::shared_ptr<Server>> servers_;
  std::atomic<size_t> present_{0};
  std::atomic<uint64_t> requests_{0};
  std::mutex mutex_;
  std::string token_;
};

}  // namespace cider::meta::kv
