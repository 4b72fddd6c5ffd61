// A Redis Cluster of the test's own: servers on ports of the loopback interface, ended with the object. For
// tests only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "meta/store/redis/redis_url.h"
#include "meta/store/redis/resp.h"

namespace cider::meta::testing {

class RedisCluster {
 public:
  struct Setup {
    size_t masters = 3;
    size_t replicas = 0;  // of the first masters, one each
    // After which a node that does not answer counts as failed, and is replaced.
    std::chrono::milliseconds node_timeout{60'000};
    std::vector<std::string> options;  // added to each command line
  };
  // Throws where there is no redis-server or the cluster does not come up.
  explicit RedisCluster(Setup setup);
  ~RedisCluster();
  RedisCluster(const RedisCluster&) = delete;

  size_t size() const { return nodes_.size(); }
  // With all nodes, or with one.
  std::string url(int db = 0) const;
  std::string url_of(size_t node, int db = 0) const;
  pid_t pid(size_t node) const { return nodes_.at(node).pid; }

  // Of one node, which need not be the one that a key is on. Throws for an error.
  template <class... Args>
  redis::Reply run(size_t node, const Args&... args) const {
    return send(node, redis::Commands().add(args...));
  }
  // The master that has the volumes of a database number, as `asked` sees it.
  size_t owner(int db, size_t asked) const;
  // Hands the slot of a volume to another master, key by key; `begun` is called before the first.
  void move(int db, size_t from, size_t to, const std::function<void()>& begun);

  // Waits until the replica of a master has what was written so far.
  void replicate(int db, size_t master) const;

  void kill(size_t node);     // SIGKILL
  void restart(size_t node);  // with what it had written

  // One cluster for all tests of the process.
  static RedisCluster& shared();

 private:
  struct Node {
    std::string port;
    std::string bus_port;
    std::string dir;
    pid_t pid = -1;
    std::string id;  // that the cluster knows it by
  };

  redis::Reply send(size_t node, const redis::Commands& commands) const;
  void start(Node& node) const;
  void introduce();
  void wait_for(const std::string& what, const std::function<bool()>& there) const;

  const Setup setup_;
  std::string dir_;
  std::vector<Node> nodes_;
};

}  // namespace cider::meta::testing
