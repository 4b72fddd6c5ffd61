// META URLs of TiKV, as JuiceFS takes them:
// tikv://PD[:PORT][,PD[:PORT]...][/PREFIX][?OPTIONS] with the options ca, cert, key (TLS),
// verify-cn and gc-interval.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "meta/store/kv/grpc_channel.h"

namespace cider::meta::kv {

struct TikvUrl {
  std::vector<std::string> placement_drivers;  // HOST:PORT
  std::string prefix;                          // "volume", or ""
  std::optional<TlsFiles> tls;
  // How long old versions of values are kept, at least an hour; 0: others see to them.
  std::chrono::milliseconds gc_interval = std::chrono::hours(3);

  // What stands before every key of the volume.
  std::string key_prefix() const { return prefix + '\xFD'; }
  std::string describe() const;
};

// EINVAL names what is wrong.
Result<TikvUrl> parse_tikv_url(std::string_view text);

}  // namespace cider::meta::kv
