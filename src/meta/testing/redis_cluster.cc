#include "meta/testing/redis_cluster.h"

#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "meta/store/redis/guides.h"
#include "meta/testing/redis_server.h"

namespace cider::meta::testing {
namespace {

constexpr int kSlots = 16384;

std::string tag(int db) {
  return "{" + std::to_string(db) + "}";
}

}  // namespace

RedisCluster::RedisCluster(Setup setup) : setup_(std::move(setup)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-cluster-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  dir_ = pattern;
  for (size_t i = 0; i < setup_.masters + setup_.replicas; ++i) {
    Node& node = nodes_.emplace_back();
    node.port = free_port();
    node.bus_port = free_port();
    node.dir = dir_ + "/" + std::to_string(i);
    std::filesystem::create_directory(node.dir);
    start(node);
  }
  introduce();
}

RedisCluster::~RedisCluster() {
  for (size_t i = 0; i < size(); ++i) kill(i);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void RedisCluster::start(Node& node) const {
  std::vector<std::string> command = {"redis-server",
                                      "--port",
                                      node.port,
                                      "--bind",
                                      "127.0.0.1",
                                      "--dir",
                                      node.dir,
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "yes",
                                      "--appendfsync",
                                      "no",
                                      "--cluster-enabled",
                                      "yes",
                                      "--cluster-port",
                                      node.bus_port,
                                      "--cluster-node-timeout",
                                      std::to_string(setup_.node_timeout.count()),
                                      "--repl-diskless-sync-delay",
                                      "0"};
  command.insert(command.end(), setup_.options.begin(), setup_.options.end());
  node.pid = spawn(command);
}

void RedisCluster::wait_for(const std::string& what, const std::function<bool()>& there) const {
  std::string last;
  for (int i = 0; i < 3000; ++i) {
    try {
      if (there()) return;
    } catch (const std::runtime_error& e) {
      last = e.what();  // a node that is not there yet, perhaps
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw std::runtime_error("the cluster: " + what + (last.empty() ? "" : ": " + last));
}

// Slots in equal parts, then everybody gets to know the first node, and through it the others.
void RedisCluster::introduce() {
  for (size_t i = 0; i < size(); ++i) {
    wait_for("redis-server does not start; is it installed?",
             [&] { return run(i, "PING").text() == "PONG"; });
    nodes_[i].id = run(i, "CLUSTER", "MYID").text();
    run(i, "CLUSTER", "SET-CONFIG-EPOCH", i + 1);
    const int masters = static_cast<int>(setup_.masters), n = static_cast<int>(i);
    if (n < masters) run(i, "CLUSTER", "ADDSLOTSRANGE", kSlots * n / masters, kSlots * (n + 1) / masters - 1);
    if (i > 0) run(i, "CLUSTER", "MEET", "127.0.0.1", nodes_[0].port, nodes_[0].bus_port);
  }
  for (size_t i = 0; i < size(); ++i) {
    wait_for("the nodes don't meet", [&] {
      return run(i, "CLUSTER", "INFO").text().contains("cluster_known_nodes:" + std::to_string(size()));
    });
  }
  for (size_t i = setup_.masters; i < size(); ++i) {
    wait_for("a replica does not start",
             [&] { return run(i, "CLUSTER", "REPLICATE", nodes_[i - setup_.masters].id).text() == "OK"; });
    wait_for("a replica is not in order",
             [&] { return run(i, "INFO", "replication").text().contains("master_link_status:up"); });
  }
  const auto replicas_seen_by = [&](size_t i) {
    const redis::Reply ranges = run(i, "CLUSTER", "SLOTS");
    size_t n = 0;
    for (size_t j = 0; j < ranges.size(); ++j) n += ranges[j].size() - 3;
    return n;
  };
  for (size_t i = 0; i < size(); ++i) {
    wait_for("it is not in order", [&] {
      return run(i, "CLUSTER", "INFO").text().contains("cluster_state:ok") &&
             replicas_seen_by(i) == setup_.replicas;
    });
  }
}

std::string RedisCluster::url(int db) const {
  std::string out = "redis://";
  for (const Node& node : nodes_) out += "127.0.0.1:" + node.port + ",";
  out.back() = '/';
  return out + std::to_string(db);
}

std::string RedisCluster::url_of(size_t node, int db) const {
  return "redis://127.0.0.1:" + nodes_.at(node).port + "/" + std::to_string(db);
}

redis::Reply RedisCluster::send(size_t node, const redis::Commands& commands) const {
  const redis::RedisUrl url = redis::parse_redis_url(url_of(node)).value();
  auto replies = redis::ask_guide(url, url.addresses.front(), commands, {});
  if (!replies) throw std::runtime_error(replies.error().to_string());
  if (replies->back().is_error()) throw std::runtime_error(std::string(replies->back().text()));
  return replies->back();
}

size_t RedisCluster::owner(int db, size_t asked) const {
  const int64_t slot = run(asked, "CLUSTER", "KEYSLOT", tag(db)).integer();
  const redis::Reply ranges = run(asked, "CLUSTER", "SLOTS");
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (slot < ranges[i][0].integer() || slot > ranges[i][1].integer()) continue;
    for (size_t n = 0; n < size(); ++n) {
      if (nodes_[n].port == std::to_string(ranges[i][2][1].integer())) return n;
    }
  }
  throw std::runtime_error("nobody has database " + std::to_string(db));
}

void RedisCluster::move(int db, size_t from, size_t to, const std::function<void()>& begun) {
  const int64_t slot = run(from, "CLUSTER", "KEYSLOT", tag(db)).integer();
  run(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", nodes_[from].id);
  run(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", nodes_[to].id);
  begun();
  while (true) {
    const redis::Reply keys = run(from, "CLUSTER", "GETKEYSINSLOT", slot, 10);
    if (keys.size() == 0) break;
    std::vector<std::string> names;
    for (size_t i = 0; i < keys.size(); ++i) names.emplace_back(keys[i].text());
    redis::Commands migrate;
    migrate.add_list({"MIGRATE", "127.0.0.1", nodes_[to].port, "", "0", "5000", "KEYS"}, names);
    send(from, migrate);
  }
  run(to, "CLUSTER", "SETSLOT", slot, "NODE", nodes_[to].id);
  run(from, "CLUSTER", "SETSLOT", slot, "NODE", nodes_[to].id);
}

void RedisCluster::replicate(int db, size_t master) const {
  const std::string key = tag(db) + "nudge";
  redis::Commands commands;
  commands.add("SET", key, 1).add("DEL", key).add("WAIT", 1, 60'000);
  if (send(master, commands).integer() != 1) throw std::runtime_error("the replica lags behind");
}

void RedisCluster::kill(size_t node) {
  pid_t& pid = nodes_.at(node).pid;
  if (pid <= 0) return;
  ::kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  pid = -1;
}

void RedisCluster::restart(size_t node) {
  kill(node);
  start(nodes_.at(node));
}

RedisCluster& RedisCluster::shared() {
  static RedisCluster cluster(Setup{});
  return cluster;
}

}  // namespace cider::meta::testing
