#include "meta/store/redis/server_info.h"

#include <cstdlib>

namespace cider::meta::redis {

bool ServerInfo::is_too_old() const {
  return !version.empty() && std::atoi(version.c_str()) < 4;
}

ServerInfo parse_server_info(std::string_view text) {
  ServerInfo info;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    size_t colon = line.find(':');
    if (colon == line.npos) continue;
    std::string_view name = line.substr(0, colon), value = line.substr(colon + 1);
    if (name == "redis_version") info.version = value;
    if (name == "run_id") info.run_id = value;
    if (name == "maxmemory_policy") info.eviction_policy = value;
    if (name == "aof_enabled") info.append_only_file = value != "0";
  }
  return info;
}

}  // namespace cider::meta::redis
