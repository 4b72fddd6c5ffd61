// Stands between clients and a PostgreSQL server, counts their flights and breaks connections at chosen
// moments. For tests only.
#pragma once

#include <atomic>
#include <set>
#include <string>

#include "meta/testing/unix_proxy.h"

namespace cider::meta::testing {

// Thread-safe.
class PostgresProxy final : public UnixProxy {
 public:
  // A commit is a flight with a COMMIT.
  explicit PostgresProxy(std::string server_socket);
  ~PostgresProxy() override;

  uint64_t flights() const { return flights_; }

 private:
  struct Client {  // what is known of what a client sends
    bool started = false;
    std::string rest;               // a message that has not come whole
    std::set<std::string> commits;  // names of statements that are COMMIT
    bool commit_seen = false;       // in the flight that is coming
  };

  void serve(UniqueFd client) override;
  void lose_reply(int server) override;
  // Looks at whole messages; true where they end a flight with a COMMIT.
  bool look(Client* client, std::string_view bytes);

  std::atomic<uint64_t> flights_{0};
};

}  // namespace cider::meta::testing
