// Stands between clients and a MySQL server, counts their requests and breaks connections at chosen moments.
// For tests only.
#pragma once

#include <atomic>
#include <string>

#include "meta/testing/unix_proxy.h"

namespace cider::meta::testing {

// Thread-safe.
class MysqlProxy final : public UnixProxy {
 public:
  // A commit is a request that ends with COMMIT.
  explicit MysqlProxy(std::string server_socket);
  ~MysqlProxy() override;

  uint64_t flights() const { return flights_; }

 private:
  void serve(UniqueFd client) override;
  void lose_reply(int server) override;

  std::atomic<uint64_t> flights_{0};
};

}  // namespace cider::meta::testing
