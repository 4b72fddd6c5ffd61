#include "object/sftp/sftp_address.h"

#include <algorithm>

#include "base/units.h"

namespace cider::object {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string SftpAddress::shown() const {
  return "sftp://" + (user.empty() ? "" : user + "@") + host + ":" + port + ":" + root;
}

Result<SftpAddress> parse_sftp_bucket(std::string_view bucket) {
  const auto wrong = [&](const char* why) {
    return fail(EINVAL, "bucket \"" + std::string(bucket) +
                            "\" of storage sftp must be [USER@]HOST:[PORT:]PATH/: " + why);
  };
  SftpAddress address;
  std::string_view rest = bucket;
  if (rest.find('\0') != rest.npos) return wrong("it has a NUL byte");
  if (rest.starts_with("sftp://")) rest.remove_prefix(7);
  if (size_t at = rest.find('@'); at != rest.npos && at < rest.find_first_of(":/")) {
    address.user = rest.substr(0, at);
    rest.remove_prefix(at + 1);
  }
  size_t host_end = rest.find(':');
  if (rest.starts_with('[')) {
    host_end = rest.find(']');
    if (host_end == rest.npos) return wrong("the address in brackets does not end");
    address.host = rest.substr(1, host_end++ - 1);
  } else {
    address.host = rest.substr(0, host_end);
  }
  if (address.host.empty()) return wrong("there is no host");
  if (host_end >= rest.size() || rest[host_end] != ':') return wrong("there is no colon after the host");
  rest.remove_prefix(host_end + 1);
  const size_t end = rest.find_first_of(":/");
  if (end != rest.npos && is_number(rest.substr(0, end))) {
    if (rest[end] == '/') return wrong("there is no colon between port and path");
    address.port = rest.substr(0, end);
    Result<int64_t> port = parse_integer(address.port);
    if (!port || *port < 1 || *port > 65535) return wrong("there is no such port");
    rest.remove_prefix(end + 1);
  }
  if (rest.empty()) return wrong("there is no path");
  if (!rest.ends_with('/')) return wrong("the path must end in /");
  address.root = rest;
  return address;
}

}  // namespace cider::object
