#include "object/redis/redis_url.h"

#include "base/bytes.h"
#include "base/units.h"

namespace cider::object {
namespace {

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    std::optional<std::string> byte;
    if (text[i] == '%' && i + 2 < text.size()) byte = from_hex(text.substr(i + 1, 2));
    out += byte ? *byte : std::string(1, text[i]);
    if (byte) i += 2;
  }
  return out;
}

Status parse_db(std::string_view text, int* db) {
  Result<int64_t> number = parse_integer(text);
  if (!number || *number < 0 || *number > 1'000'000) {
    return fail(EINVAL, "\"" + std::string(text) + "\" is not the number of a Redis database");
  }
  *db = static_cast<int>(*number);
  return {};
}

// "host", "host:port", "[v6]", "[v6]:port".
Status parse_host(std::string_view text, RedisAddress* address) {
  if (text.find(',') != text.npos) {
    return fail(ENOTSUP, "Sentinel and Cluster are not supported for objects; name one server");
  }
  std::string_view rest;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == text.npos) return fail(EINVAL, "the address in brackets does not end");
    address->host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    address->host = text.substr(0, text.find(':'));
    rest = text.substr(address->host.size());
  }
  if (address->host.empty()) address->host = "localhost";
  if (rest.empty()) return {};
  address->port = rest.substr(1);
  Result<int64_t> port = parse_integer(address->port);
  if (rest.front() != ':' || !port || *port < 1 || *port > 65535) {
    return fail(EINVAL, "\"" + std::string(rest) + "\" is not a port");
  }
  return {};
}

Status parse(std::string_view url, RedisAddress* address) {
  const bool is_unix = url.starts_with("unix://");
  address->tls = url.starts_with("rediss://");
  if (!is_unix && !address->tls && !url.starts_with("redis://")) {
    return fail(EINVAL, "it must begin with redis://, rediss:// or unix://");
  }
  url.remove_prefix(url.find("://") + 3);
  if (size_t at = url.rfind('@'); at != url.npos) {
    const std::string_view account = url.substr(0, at);
    const size_t colon = account.find(':');
    address->user = unescape(account.substr(0, colon));
    if (colon != account.npos) address->password = unescape(account.substr(colon + 1));
    url.remove_prefix(at + 1);
  }
  if (size_t query = url.find('?'); query != url.npos) {
    const std::string_view option = url.substr(query + 1);
    url = url.substr(0, query);
    if (!option.starts_with("db=")) return fail(EINVAL, "the only option that it may have is db=");
    TRY(parse_db(option.substr(3), &address->db));
  }
  if (is_unix) {
    address->socket = url;
    if (url.starts_with('/')) return {};
    return fail(EINVAL, "the path of the socket must be absolute");
  }
  if (size_t slash = url.find('/'); slash != url.npos) {
    std::string_view db = url.substr(slash + 1);
    if (db.ends_with('/')) db.remove_suffix(1);
    if (!db.empty()) TRY(parse_db(db, &address->db));
    url = url.substr(0, slash);
  }
  return parse_host(url, address);
}

}  // namespace

std::string RedisAddress::shown() const {
  if (!socket.empty()) return "unix://" + socket + "?db=" + std::to_string(db);
  return (tls ? "rediss://" : "redis://") + host + ":" + port + "/" + std::to_string(db);
}

Result<RedisAddress> parse_redis_bucket(std::string_view url) {
  RedisAddress address;
  if (Status parsed = parse(url, &address); !parsed) {
    const size_t at = url.rfind('@');
    const std::string shown(at == url.npos ? url : "***" + std::string(url.substr(at)));
    return fail(parsed.error().code, "bucket \"" + shown + "\" of storage redis: " + parsed.error().message);
  }
  return address;
}

}  // namespace cider::object
