#include "meta/store/sql/mysql/mysql_url.h"

#include <algorithm>

#include "base/units.h"
#include "meta/store/meta_password.h"

namespace cider::meta::mysql {
namespace {

constexpr std::string_view kScheme = "mysql://";

std::unexpected<Error> wrong(const std::string& what) {
  return fail(EINVAL, "META URL: " + what + "; it is mysql://USER:PASSWORD@(HOST:PORT)/DB?OPTION=VALUE");
}

Result<std::chrono::seconds> limit_of(std::string_view name, std::string_view value) {
  const auto time = parse_duration(value);
  if (!time || *time < std::chrono::seconds(1))
    return wrong(std::string(name) + " wants a time of a second or more, not '" + std::string(value) + "'");
  return std::chrono::duration_cast<std::chrono::seconds>(*time);
}

Result<Tls> tls_of(std::string_view value) {
  if (value == "true") return Tls::verified;
  if (value == "skip-verify") return Tls::unverified;
  if (value == "preferred") return Tls::preferred;
  if (value == "false") return Tls::off;
  return wrong("tls is true, skip-verify, preferred or false, not '" + std::string(value) + "'");
}

Status take_option(std::string_view name, std::string_view value, MysqlUrl* out) {
  if (name == "tls") {
    out->tls = TRY(tls_of(value));
  } else if (name == "timeout") {
    out->connect_limit = TRY(limit_of(name, value));
  } else if (name == "readTimeout") {
    out->read_limit = TRY(limit_of(name, value));
  } else if (name == "writeTimeout") {
    out->write_limit = TRY(limit_of(name, value));
  } else if (name == "charset") {
    if (value != "utf8mb4") return wrong("charset must be utf8mb4, not '" + std::string(value) + "'");
  } else {
    const auto taken = sql::server::take_option(name, value, out);
    if (!taken) return wrong(taken.error().message);
    if (!*taken) return wrong("option " + std::string(name) + " is not supported");
  }
  return {};
}

Status take_host(std::string_view host, MysqlUrl* out) {
  const size_t colon = host.rfind(':');
  const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
  out->host = host.substr(0, has_port ? colon : host.npos);
  if (has_port) {
    const std::string_view digits = host.substr(colon + 1);
    const auto port = sql::server::option_number("the port", digits);
    if (!port) return wrong(port.error().message);
    if (*port < 1 || *port > 65535) return wrong("port " + std::string(digits) + " is not from 1 to 65535");
    out->port = static_cast<unsigned>(*port);
  }
  if (out->host.starts_with('[') && out->host.ends_with(']'))
    out->host = out->host.substr(1, out->host.size() - 2);
  if (out->host.empty()) out->host = "127.0.0.1";
  return {};
}

// PROTOCOL(ADDRESS), (ADDRESS) or HOST:PORT.
Status take_address(std::string_view text, MysqlUrl* out) {
  const size_t open = text.find('(');
  if (open == text.npos) return take_host(text, out);
  if (!text.ends_with(')')) return wrong("'(' of the address is not closed");
  const std::string_view protocol = text.substr(0, open);
  const std::string_view address = text.substr(open + 1, text.size() - open - 2);
  if (protocol == "unix") {
    out->socket = address;
    return address.empty() ? Status(wrong("unix() names no socket")) : Status();
  }
  if (!protocol.empty() && protocol != "tcp")
    return wrong("protocol '" + std::string(protocol) + "' is neither tcp nor unix");
  return take_host(address, out);
}

}  // namespace

std::string MysqlUrl::describe() const {
  std::string out(kScheme);
  if (!user.empty()) out += user + "@";
  out += socket.empty() ? "(" + host + ":" + std::to_string(port) + ")" : "unix(" + socket + ")";
  return out + "/" + database;
}

Result<MysqlUrl> parse_mysql_url(std::string_view text) {
  if (!text.starts_with(kScheme)) return wrong("the scheme is not mysql");
  text.remove_prefix(kScheme.size());
  MysqlUrl url;
  // A password may hold any character: the last '/' ends the address, the last '@' before it the password.
  const size_t slash = text.rfind('/', text.find('?', std::min(text.rfind(')'), text.size())));
  if (slash == text.npos) return wrong("there is no database");
  std::string_view database = text.substr(slash + 1);
  const size_t question = database.find('?');
  std::string_view query = question == database.npos ? std::string_view{} : database.substr(question + 1);
  url.database = database.substr(0, question);
  if (url.database.empty()) return wrong("there is no database");
  std::string_view address = text.substr(0, slash);
  if (const size_t at = address.rfind('@'); at != address.npos) {
    const std::string_view credentials = address.substr(0, at);
    const size_t colon = credentials.find(':');
    url.user = credentials.substr(0, colon);
    if (colon != credentials.npos) url.password = credentials.substr(colon + 1);
    address.remove_prefix(at + 1);
  }
  TRY(take_address(address, &url));
  while (!query.empty()) {
    const std::string_view option = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), option.size() + 1));
    const size_t equals = option.find('=');
    TRY(take_option(option.substr(0, equals), equals == option.npos ? "" : option.substr(equals + 1), &url));
  }
  if (url.password.empty()) url.password = TRY(password_from_environment());
  return url;
}

}  // namespace cider::meta::mysql
