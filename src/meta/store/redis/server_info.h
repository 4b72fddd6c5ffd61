// What INFO says of a server, as far as it matters to a volume.
#pragma once

#include <string>
#include <string_view>

namespace cider::meta::redis {

struct ServerInfo {
  std::string version;          // "7.0.15"
  std::string run_id;           // of this run of the server
  std::string eviction_policy;  // of keys, when memory is full; empty where the server doesn't say
  bool append_only_file = true;

  bool is_too_old() const;  // before 4.0
  bool may_evict() const { return !eviction_policy.empty() && eviction_policy != "noeviction"; }
};

// Of INFO's lines "name:value". What is missing keeps its default: a managed server may hide it.
ServerInfo parse_server_info(std::string_view info);

}  // namespace cider::meta::redis
