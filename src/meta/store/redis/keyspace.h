// Where the keys of a volume lie. On a server with databases the volume has one for itself; a Redis Cluster
// has none, and all keys of a volume begin with the database's number in braces. A cluster assigns a key by
// what stands in braces (its hash tag), so a volume lies on one node, whole. Format: JuiceFS 1.4
// pkg/meta/redis.go (newRedisMeta, prefix).
#pragma once

#include <string>
#include <string_view>

namespace cider::meta::redis {

class Keyspace {
 public:
  Keyspace() = default;  // a database
  static Keyspace in_cluster(int db) { return Keyspace("{" + std::to_string(db) + "}"); }

  bool is_in_cluster() const { return !prefix_.empty(); }
  const std::string& prefix() const { return prefix_; }
  // The key that has this name (keys.h) in the volume.
  std::string key(std::string name) const {
    if (is_in_cluster()) name.insert(0, prefix_);
    return name;
  }
  std::string key(std::string_view name) const { return key(std::string(name)); }
  // Back again; empty for a key that is not of this keyspace.
  std::string_view name(std::string_view key) const {
    return key.starts_with(prefix_) ? key.substr(prefix_.size()) : std::string_view{};
  }

 private:
  explicit Keyspace(std::string prefix) : prefix_(std::move(prefix)) {}

  std::string prefix_;
};

}  // namespace cider::meta::redis
