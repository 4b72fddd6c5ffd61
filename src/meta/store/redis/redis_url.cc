#include "meta/store/redis/redis_url.h"

#include <charconv>
#include <cstdlib>
#include <fstream>

namespace cider::meta::redis {
namespace {

std::unexpected<Error> wrong(const std::string& what) {
  return fail(EINVAL, "META URL: " + what + "; expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]");
}

Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    std::string_view digits = text.substr(i + 1, 2);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) {
      return wrong("'%' in user or password must be followed by two hexadecimal digits");
    }
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

Result<int> number(std::string_view text, const std::string& what, int limit) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > limit) {
    return wrong(what + " '" + std::string(text) + "' is no number up to " + std::to_string(limit));
  }
  return value;
}

// "30s", "500ms", "2m"; a bare number is seconds.
Result<std::chrono::milliseconds> duration(std::string_view text, const std::string& what) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit(end, text.data() + text.size());
  double factor = unit == "ms" ? 1 : unit == "s" || unit.empty() ? 1000 : unit == "m" ? 60'000 : 0;
  if (error != std::errc{} || factor == 0 || value <= 0 || value > 86'400'000) {
    return wrong(what + " '" + std::string(text) + "' is no time like 30s or 500ms");
  }
  return std::chrono::milliseconds(static_cast<int64_t>(value * factor));
}

Status take_option(RedisUrl* url, std::string_view name, std::string_view value) {
  const std::string what = "option " + std::string(name);
  if (name == "db") {
    url->db = TRY(number(value, what, 65535));
  } else if (name == "dial-timeout") {
    url->dial_timeout = TRY(duration(value, what));
  } else if (name == "read-timeout") {
    url->read_timeout = TRY(duration(value, what));
  } else if (name == "write-timeout") {
    url->write_timeout = TRY(duration(value, what));
  } else {
    return wrong(what + " is not supported (db, dial-timeout, read-timeout and write-timeout are)");
  }
  return {};
}

Status take_options(RedisUrl* url, std::string_view query) {
  while (!query.empty()) {
    std::string_view option = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), option.size() + 1));
    size_t equals = option.find('=');
    std::string_view value = equals == option.npos ? std::string_view{} : option.substr(equals + 1);
    TRY(take_option(url, option.substr(0, equals), value));
  }
  return {};
}

Status take_credentials(RedisUrl* url, std::string_view credentials) {
  size_t colon = credentials.find(':');
  url->user = TRY(percent_decoded(credentials.substr(0, colon)));
  if (colon != credentials.npos) url->password = TRY(percent_decoded(credentials.substr(colon + 1)));
  return {};
}

Result<std::string> password_from_environment() {
  if (const char* password = std::getenv("META_PASSWORD")) return std::string(password);
  const char* path = std::getenv("META_PASSWORD_FILE");
  if (path == nullptr) return std::string{};
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line))
    return fail(EINVAL, std::string("META_PASSWORD_FILE ") + path + " cannot be read");
  return line;
}

Status take_address(RedisUrl* url, std::string_view address) {
  size_t slash = address.find('/');
  if (slash != address.npos) {
    std::string_view db = address.substr(slash + 1);
    if (!db.empty()) url->db = TRY(number(db, "database", 65535));
    address = address.substr(0, slash);
  }
  if (address.find(',') != address.npos) {
    return wrong("several addresses (Sentinel, Cluster) are not supported yet");
  }
  size_t colon = address.rfind(':');
  bool has_port = colon != address.npos && address.find(']', colon) == address.npos;
  if (has_port) url->port = std::to_string(TRY(number(address.substr(colon + 1), "port", 65535)));
  url->host = address.substr(0, has_port ? colon : address.npos);
  if (url->host.starts_with('[') && url->host.ends_with(']'))
    url->host = url->host.substr(1, url->host.size() - 2);
  if (url->host.empty()) return wrong("there is no host");
  return {};
}

}  // namespace

std::string RedisUrl::describe() const {
  if (host.empty()) return "unix://" + path + "?db=" + std::to_string(db);
  bool bracket = host.find(':') != host.npos;
  return "redis://" + (bracket ? "[" + host + "]" : host) + ":" + port + "/" + std::to_string(db);
}

Result<RedisUrl> parse_redis_url(std::string_view text) {
  RedisUrl url;
  size_t question = text.find('?');
  if (question != text.npos) TRY(take_options(&url, text.substr(question + 1)));
  text = text.substr(0, question);
  bool is_unix = text.starts_with("unix://");
  if (!is_unix && !text.starts_with("redis://")) {
    return wrong("scheme '" + std::string(text.substr(0, text.find(':'))) + "' is not supported yet");
  }
  text.remove_prefix(is_unix ? 7 : 8);
  size_t at = text.rfind('@');
  if (at != text.npos) {
    TRY(take_credentials(&url, text.substr(0, at)));
    text.remove_prefix(at + 1);
  }
  if (url.password.empty()) url.password = TRY(password_from_environment());
  if (!is_unix) {
    TRY(take_address(&url, text));
    return url;
  }
  if (!text.starts_with('/')) return wrong("the path of a unix socket must be absolute");
  url.path = text;
  return url;
}

}  // namespace cider::meta::redis
