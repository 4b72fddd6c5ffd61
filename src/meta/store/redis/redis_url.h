// META URLs of Redis, as JuiceFS has them:
//   redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB][?OPTIONS]       one server
//   redis[s]://[[USER]:PASSWORD@]MASTER,HOST,...[:PORT][/DB]      the server that Sentinels name MASTER
//   redis[s]://[[USER]:PASSWORD@]HOST:PORT,HOST:PORT,...[/DB]     nodes of a Redis Cluster
//   unix://[[USER]:PASSWORD@]/PATH[?db=DB]
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cider::meta::redis {

struct Address {
  std::string host;  // or the absolute path of a unix socket
  std::string port;

  bool is_unix() const { return host.starts_with('/'); }
  std::string to_string() const;
  bool operator==(const Address&) const = default;
};

struct TlsOptions {
  bool skip_verify = false;
  std::string cert_file;  // of the client, PEM
  std::string key_file;
  std::string ca_file;      // instead of the system's
  std::string server_name;  // instead of the host's name
};

struct RedisUrl {
  // Of the server (one that stands alone may be a node of a cluster), of the Sentinels that know it, or of
  // nodes of a cluster.
  std::vector<Address> addresses;
  std::string master;  // what the Sentinels call it; empty: there are none
  std::optional<TlsOptions> tls;
  std::string user;
  std::string password;
  std::string sentinel_password;
  int db = 0;
  // A read-only mount reads from a replica that the Sentinels or the cluster know.
  bool read_replica = false;
  // See client_cache.h.
  bool client_cache = false;
  size_t client_cache_size = 12'800;  // inodes, and as many entries
  std::chrono::milliseconds client_cache_expire{60'000};
  std::chrono::milliseconds dial_timeout{5'000};
  std::chrono::milliseconds read_timeout{30'000};
  std::chrono::milliseconds write_timeout{5'000};
  std::chrono::milliseconds min_retry_backoff{20};
  std::chrono::milliseconds max_retry_backoff{10'000};

  // For people: without user and password.
  std::string describe() const;
};

// EINVAL with what is wrong. For a password that the URL lacks, the environment stands in: REDIS_PASSWORD,
// META_PASSWORD, or the file that META_PASSWORD_FILE names; SENTINEL_PASSWORD for the Sentinels.
Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace cider::meta::redis
