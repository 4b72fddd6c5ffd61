#include "meta/store/sql/postgres/postgres_url.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/url.h"
#include "meta/store/meta_password.h"

namespace cider::meta::postgres {
namespace {

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::set<std::string> known_to_libpq() {
  std::set<std::string> out;
  Options defaults(PQconndefaults(), &PQconninfoFree);
  for (const PQconninfoOption* option = defaults.get(); option && option->keyword; ++option)
    out.insert(option->keyword);
  return out;
}

// One schema alone: JuiceFS looks for its tables there and nowhere else.
Status set_search_path(const std::string& value, PostgresUrl* out) {
  if (value.find(',') != value.npos)
    return fail(EINVAL, "META URL: search_path names several schemas; there can be one only");
  std::string quoted = "\"";
  for (char c : value) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  quoted += '"';
  std::string option = "-c search_path=";
  for (char c : quoted) {
    if (c == ' ' || c == '\\') option += '\\';
    option += c;
  }
  out->parameters.emplace_back("options", option);
  return {};
}

// Those of JuiceFS; false for others.
Result<bool> take_option(const std::string& name, const std::string& value, PostgresUrl* out) {
  if (name == "search_path") {
    TRY(set_search_path(value, out));
    return true;
  }
  auto taken = sql::server::take_option(name, value, out);
  if (!taken) return fail(EINVAL, "META URL: " + taken.error().message);
  return taken;
}

std::string shown(const PostgresUrl& url) {
  const auto value = [&](std::string_view name) {
    for (const auto& [key, text] : url.parameters)
      if (key == name) return text;
    return std::string();
  };
  std::string host = value("host");
  if (host.starts_with("/")) host.clear();
  std::string out = "postgres://";
  if (!value("user").empty()) out += value("user") + "@";
  out += host;
  if (!value("port").empty()) out += ":" + value("port");
  out += "/" + value("dbname");
  if (host.empty() && !value("host").empty()) out += "?host=" + value("host");
  return out;
}

}  // namespace

Result<PostgresUrl> parse_postgres_url(std::string_view url) {
  const size_t question = url.find('?');
  std::string base(url.substr(0, question));
  std::string_view query = question == url.npos ? std::string_view{} : url.substr(question + 1);
  PostgresUrl out;
  const std::set<std::string> known = known_to_libpq();
  std::string kept;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    const auto name = percent_decoded(pair.substr(0, equals));
    const auto value = percent_decoded(equals == pair.npos ? std::string_view{} : pair.substr(equals + 1));
    if (!name || !value) return fail(EINVAL, "META URL: an option is not escaped right (% and two digits)");
    if (TRY(take_option(*name, *value, &out))) continue;
    if (!known.contains(*name))
      return fail(EINVAL, "META URL: there is no option " + *name + " of PostgreSQL");
    kept += (kept.empty() ? "?" : "&") + std::string(pair);
  }
  Options parsed(PQconninfoParse((base + kept).c_str(), nullptr), &PQconninfoFree);
  if (!parsed) {
    return fail(
        EINVAL,
        "META URL cannot be read; it is postgres://USER:PASSWORD@HOST:PORT/DB?OPTION=VALUE, with % and two "
        "digits for each special character of user and password");
  }
  for (const PQconninfoOption* option = parsed.get(); option->keyword; ++option) {
    if (!option->val) continue;
    if (std::string_view(option->keyword) == "options" && !out.parameters.empty() &&
        out.parameters.front().first == "options") {
      out.parameters.front().second += std::string(" ") + option->val;
      continue;
    }
    out.parameters.emplace_back(option->keyword, option->val);
  }
  out.shown = shown(out);
  const bool has_password =
      std::ranges::any_of(out.parameters, [](const auto& p) { return p.first == "password"; });
  if (!has_password) {
    std::string password = TRY(password_from_environment());
    if (!password.empty()) out.parameters.emplace_back("password", std::move(password));
  }
  return out;
}

}  // namespace cider::meta::postgres
