#include "meta/store/redis/redis_url.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/units.h"
#include "base/url.h"
#include "meta/store/meta_password.h"

namespace cider::meta::redis {
namespace {

using std::chrono::milliseconds;

std::unexpected<Error> wrong(const std::string& what) {
  return fail(EINVAL, "META URL: " + what + "; expected redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]");
}

Result<std::string> decoded(std::string_view text) {
  auto out = percent_decoded(text);
  if (!out) return wrong("'%' must be followed by two hexadecimal digits");
  return *std::move(out);
}

Result<int> number(std::string_view text, const std::string& what, int limit) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > limit) {
    return wrong(what + " '" + std::string(text) + "' is no number up to " + std::to_string(limit));
  }
  return value;
}

// "30s", "500ms", "1m30s"; a bare number is seconds.
Result<milliseconds> time_limit(std::string_view text, const std::string& what) {
  auto value = parse_duration(text);
  if (!value || *value < milliseconds(1) || *value > std::chrono::hours(24))
    return wrong(what + " '" + std::string(text) + "' is no time like 30s or 500ms, up to a day");
  return std::chrono::duration_cast<milliseconds>(*value);
}

struct Option {
  std::string name;
  std::string value;
};

bool take_tls_option(TlsOptions* tls, const Option& option) {
  if (option.name == "insecure-skip-verify") {
    tls->skip_verify = !option.value.empty();
  } else if (option.name == "tls-cert-file") {
    tls->cert_file = option.value;
  } else if (option.name == "tls-key-file") {
    tls->key_file = option.value;
  } else if (option.name == "tls-ca-cert-file") {
    tls->ca_file = option.value;
  } else if (option.name == "tls-server-name") {
    tls->server_name = option.value;
  } else {
    return false;
  }
  return true;
}

milliseconds* time_option(RedisUrl* url, std::string_view name) {
  if (name == "client-cache-expire") return &url->client_cache_expire;
  if (name == "dial-timeout") return &url->dial_timeout;
  if (name == "read-timeout") return &url->read_timeout;
  if (name == "write-timeout") return &url->write_timeout;
  if (name == "min-retry-backoff") return &url->min_retry_backoff;
  if (name == "max-retry-backoff") return &url->max_retry_backoff;
  return nullptr;
}

// Any value but "false" turns the cache on, as in JuiceFS.
Result<bool> take_cache_option(RedisUrl* url, const Option& option) {
  constexpr int kMostEntries = 100'000'000;
  const std::string what = "option " + option.name;
  if (option.name == "client-cache") {
    url->client_cache = !option.value.empty() && option.value != "false";
  } else if (option.name == "client-cache-size") {
    const int size = TRY(number(option.value, what, kMostEntries));
    if (size == 0) return wrong(what + "=0 holds nothing; client-cache=false turns the cache off");
    url->client_cache_size = static_cast<size_t>(size);
  } else if (option.name == "client-cache-preload") {
    if (TRY(number(option.value, what, kMostEntries)) != 0)
      return wrong(what + " is not supported: the cache fills as it is used; leave the option out");
  } else {
    return false;
  }
  return true;
}

Status take_option(RedisUrl* url, const Option& option) {
  const std::string what = "option " + option.name;
  if (milliseconds* limit = time_option(url, option.name)) {
    *limit = TRY(time_limit(option.value, what));
    return {};
  }
  if (option.name == "db") {
    url->db = TRY(number(option.value, what, 65535));
    return {};
  }
  if (option.name == "route-read") {
    if (option.value != "replica" && !option.value.empty())
      return wrong(what + "=" + option.value +
                   " is not supported (replica is, with Sentinels or in a cluster)");
    url->read_replica = option.value == "replica";
    return {};
  }
  if (TRY(take_cache_option(url, option))) return {};
  if (!url->tls) return wrong(what + " is unknown, or goes with rediss:// only");
  if (!take_tls_option(&*url->tls, option)) return wrong(what + " is not supported");
  return {};
}

Status take_options(RedisUrl* url, std::string_view query) {
  while (!query.empty()) {
    std::string_view text = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), text.size() + 1));
    size_t equals = text.find('=');
    Option option{std::string(text.substr(0, equals)), {}};
    std::ranges::replace(option.name, '_', '-');
    if (equals != text.npos) option.value = TRY(decoded(text.substr(equals + 1)));
    TRY(take_option(url, option));
  }
  if (url->tls && url->tls->cert_file.empty() != url->tls->key_file.empty())
    return wrong("tls-cert-file and tls-key-file go together");
  if (url->client_cache && url->read_replica)
    return wrong("client-cache and route-read=replica do not go together");
  if (url->min_retry_backoff > url->max_retry_backoff)
    return wrong("min-retry-backoff is longer than max-retry-backoff");
  return {};
}

Status take_credentials(RedisUrl* url, std::string_view credentials) {
  size_t colon = credentials.find(':');
  url->user = TRY(decoded(credentials.substr(0, colon)));
  if (colon != credentials.npos) url->password = TRY(decoded(credentials.substr(colon + 1)));
  return {};
}

Result<std::string> redis_password_from_environment() {
  const char* password = std::getenv("REDIS_PASSWORD");
  if (password != nullptr && *password != 0) return std::string(password);
  return password_from_environment();
}

// HOST[:PORT], [V6][:PORT]; the port may lack.
Result<Address> parse_address(std::string_view text) {
  size_t colon = text.rfind(':');
  bool has_port = colon != text.npos && text.find(']', colon) == text.npos;
  Address address{std::string(text.substr(0, has_port ? colon : text.npos)), {}};
  if (has_port) address.port = std::to_string(TRY(number(text.substr(colon + 1), "port", 65535)));
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty()) return wrong("there is no host");
  return address;
}

// "MASTER,HOST1,HOST2:PORT": a name without a port comes first, with one they are a cluster's nodes. The last
// port holds for all without one.
Status take_addresses(RedisUrl* url, std::string_view text) {
  size_t comma = text.find(',');
  const char* port = "6379";
  if (comma != text.npos && text.find(':') > comma) {
    url->master = text.substr(0, comma);
    text.remove_prefix(comma + 1);
    port = "26379";
  }
  while (true) {
    size_t end = text.find(',');
    url->addresses.push_back(TRY(parse_address(text.substr(0, end))));
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
  const std::string last = url->addresses.back().port;
  for (Address& address : url->addresses) {
    if (address.port.empty()) address.port = last.empty() ? port : last;
  }
  return {};
}

Status take_server(RedisUrl* url, std::string_view text) {
  size_t slash = text.find('/');
  if (slash != text.npos) {
    std::string_view db = text.substr(slash + 1);
    if (!db.empty()) url->db = TRY(number(db, "database", 65535));
    text = text.substr(0, slash);
  }
  return take_addresses(url, text);
}

}  // namespace

std::string Address::to_string() const {
  if (is_unix()) return host;
  return (host.find(':') != host.npos ? "[" + host + "]" : host) + ":" + port;
}

std::string RedisUrl::describe() const {
  if (addresses.front().is_unix()) return "unix://" + addresses.front().host + "?db=" + std::to_string(db);
  std::string out = tls ? "rediss://" : "redis://";
  if (!master.empty()) out += master + ",";
  for (size_t i = 0; i < addresses.size(); ++i) out += (i == 0 ? "" : ",") + addresses[i].to_string();
  return out + "/" + std::to_string(db);
}

Result<RedisUrl> parse_redis_url(std::string_view text) {
  RedisUrl url;
  size_t colon = text.find("://");
  std::string_view scheme = text.substr(0, colon);
  if (scheme != "redis" && scheme != "rediss" && scheme != "unix")
    return wrong("scheme '" + std::string(scheme) + "' is none of Redis");
  text.remove_prefix(colon + 3);
  if (scheme == "rediss") url.tls.emplace();
  size_t at = text.substr(0, text.find('?')).rfind('@');
  if (at != text.npos) {
    TRY(take_credentials(&url, text.substr(0, at)));
    text.remove_prefix(at + 1);
  }
  size_t question = text.find('?');
  if (question != text.npos) TRY(take_options(&url, text.substr(question + 1)));
  text = text.substr(0, question);
  if (url.password.empty()) url.password = TRY(redis_password_from_environment());
  if (const char* password = std::getenv("SENTINEL_PASSWORD")) url.sentinel_password = password;
  if (scheme != "unix") {
    TRY(take_server(&url, text));
    return url;
  }
  if (!text.starts_with('/')) return wrong("the path of a unix socket must be absolute");
  url.addresses.push_back({std::string(text), {}});
  return url;
}

}  // namespace cider::meta::redis
