#include "meta/store/kv/tikv/tikv_url.h"

#include <algorithm>

#include "base/units.h"

namespace cider::meta::kv {
namespace {

constexpr std::string_view kScheme = "tikv://";
constexpr std::string_view kDefaultPort = "2379";

std::unexpected<Error> wrong(const std::string& what) {
  return fail(EINVAL, "META URL: " + what + "; expected tikv://PD[:PORT][,PD...]/PREFIX");
}

Status take_option(TikvUrl* url, TlsFiles* tls, std::string_view name, std::string_view value) {
  if (name == "gc-interval") {
    const auto interval = parse_duration(value);
    if (!interval || (interval->count() != 0 && *interval < std::chrono::hours(1)))
      return wrong("gc-interval takes a time of at least an hour, or 0, not '" + std::string(value) + "'");
    url->gc_interval = std::chrono::duration_cast<std::chrono::milliseconds>(*interval);
    return {};
  }
  std::string* field = name == "ca"          ? &tls->ca
                       : name == "cert"      ? &tls->cert
                       : name == "key"       ? &tls->key
                       : name == "verify-cn" ? &tls->server_name
                                             : nullptr;
  if (!field) return wrong("option " + std::string(name) + " is not supported");
  *field = value;
  if (field == &tls->server_name && value.find(',') != value.npos)
    return wrong("verify-cn takes one name, not '" + std::string(value) + "'");
  return {};
}

Status take_options(TikvUrl* url, std::string_view query) {
  TlsFiles tls;
  while (!query.empty()) {
    const std::string_view text = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), text.size() + 1));
    const size_t equals = text.find('=');
    TRY(take_option(url, &tls, text.substr(0, equals), equals == text.npos ? "" : text.substr(equals + 1)));
  }
  if (tls.cert.empty() != tls.key.empty()) return wrong("cert and key go together");
  if (tls.ca.empty() && !(tls.cert.empty() && tls.server_name.empty()))
    return wrong("TLS needs the option ca");
  if (!tls.ca.empty()) url->tls = std::move(tls);
  return {};
}

}  // namespace

std::string TikvUrl::describe() const {
  std::string out(kScheme);
  for (const std::string& host : placement_drivers) out += (out.size() == kScheme.size() ? "" : ",") + host;
  return out + "/" + prefix;
}

Result<TikvUrl> parse_tikv_url(std::string_view text) {
  if (!text.starts_with(kScheme)) return wrong("the scheme is not tikv");
  text.remove_prefix(kScheme.size());
  TikvUrl url;
  const size_t question = text.find('?');
  if (question != text.npos) TRY(take_options(&url, text.substr(question + 1)));
  text = text.substr(0, question);
  if (text.find('@') != text.npos) return wrong("TiKV knows no users");
  const size_t slash = text.find('/');
  if (slash != text.npos) {
    const std::string_view path = text.substr(slash);
    url.prefix = path.substr(std::min(path.find_first_not_of('/'), path.size()));
  }
  std::string_view hosts = text.substr(0, slash);
  while (true) {
    const std::string_view host = hosts.substr(0, hosts.find(','));
    if (host.empty()) return wrong("there is no host");
    const size_t colon = host.rfind(':');
    const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
    url.placement_drivers.push_back(std::string(host) + (has_port ? "" : ":" + std::string(kDefaultPort)));
    if (host.size() == hosts.size()) return url;
    hosts.remove_prefix(host.size() + 1);
  }
}

}  // namespace cider::meta::kv
