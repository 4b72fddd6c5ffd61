// A mounted client, as the engine records it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace cider::meta {

// Format: JuiceFS 1.4 pkg/meta/interface.go SessionInfo, JSON in Go's field order.
struct SessionInfo {
  std::string version;
  std::string host_name;
  std::vector<std::string> ip_addresses;
  std::string mount_point;
  Time mount_time;  // RFC 3339 with nanoseconds and offset in JSON
  uint64_t process_id = 0;

  bool operator==(const SessionInfo&) const = default;
};

// The mount time gets the offset of the local time zone. Bytes that are not UTF-8 are replaced, as Go does.
std::string encode_session_info(const SessionInfo& info);
// For people to read: a field that is missing or of a wrong type is left empty. EINVAL if it is no JSON
// object.
Result<SessionInfo> decode_session_info(std::string_view json);

}  // namespace cider::meta
