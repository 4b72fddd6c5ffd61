#include "meta/model/session.h"

#include <nlohmann/json.hpp>

#include "meta/model/json_text.h"
#include "meta/model/rfc3339.h"

namespace cider::meta {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& object, const char* name) {
  auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

}  // namespace

std::string encode_session_info(const SessionInfo& info) {
  Json json;
  json["Version"] = info.version;
  json["HostName"] = info.host_name;
  if (!info.ip_addresses.empty()) json["IPAddrs"] = info.ip_addresses;
  json["MountPoint"] = info.mount_point;
  json["MountTime"] = format_rfc3339(info.mount_time);
  json["ProcessID"] = info.process_id;
  return escape_like_go(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<SessionInfo> decode_session_info(std::string_view json) {
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return fail(EINVAL, "the session's record is no JSON object");
  SessionInfo info;
  info.version = text_of(object, "Version");
  info.host_name = text_of(object, "HostName");
  info.mount_point = text_of(object, "MountPoint");
  info.mount_time = parse_rfc3339(text_of(object, "MountTime")).value_or(Time{});
  if (auto it = object.find("IPAddrs"); it != object.end() && it->is_array()) {
    for (const Json& address : *it) {
      if (address.is_string()) info.ip_addresses.push_back(address.get<std::string>());
    }
  }
  if (auto it = object.find("ProcessID"); it != object.end() && it->is_number_unsigned()) {
    info.process_id = it->get<uint64_t>();
  }
  return info;
}

}  // namespace cider::meta
