#include "meta/store/kv/etcd/etcd_url.h"

#include <algorithm>

#include "base/url.h"
#include "meta/store/meta_password.h"

namespace cider::meta::kv {
namespace {

constexpr std::string_view kScheme = "etcd://";
constexpr std::string_view kDefaultPort = "2379";

std::unexpected<Error> wrong(const std::string& what) {
  return fail(EINVAL, "META URL: " + what + "; expected etcd://[USER:PASSWORD@]HOST[:PORT][,HOST...]/PREFIX");
}

Result<std::string> decoded(std::string_view text) {
  auto out = percent_decoded(text);
  if (!out) return wrong("'%' must be followed by two hexadecimal digits");
  return *std::move(out);
}

Status take_option(EtcdUrl* url, TlsFiles* tls, std::string_view name, std::string value) {
  if (name == "insecure-skip-verify") {
    tls->skip_verify = !value.empty();
    return {};
  }
  std::string* field = name == "cacert"        ? &tls->ca
                       : name == "cert"        ? &tls->cert
                       : name == "key"         ? &tls->key
                       : name == "server-name" ? &tls->server_name
                                               : nullptr;
  if (!field) return wrong("option " + std::string(name) + " is not supported");
  *field = std::move(value);
  if (!field->empty() && !url->tls) url->tls.emplace();
  return {};
}

// Without one of the files or a name there is no TLS, as in JuiceFS.
Status take_options(EtcdUrl* url, std::string_view query) {
  TlsFiles tls;
  while (!query.empty()) {
    const std::string_view text = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), text.size() + 1));
    const size_t equals = text.find('=');
    std::string value = equals == text.npos ? "" : TRY(decoded(text.substr(equals + 1)));
    TRY(take_option(url, &tls, text.substr(0, equals), std::move(value)));
  }
  if (tls.cert.empty() != tls.key.empty()) return wrong("cert and key go together");
  if (url->tls) url->tls = std::move(tls);
  return {};
}

Status take_endpoints(EtcdUrl* url, std::string_view hosts) {
  while (true) {
    const std::string_view host = hosts.substr(0, hosts.find(','));
    if (host.empty()) return wrong("there is no host");
    const size_t colon = host.rfind(':');
    const bool has_port = colon != host.npos && host.find(']', colon) == host.npos;
    url->endpoints.emplace_back(has_port ? std::string(host)
                                         : std::string(host) + ":" + std::string(kDefaultPort));
    if (host.size() == hosts.size()) return {};
    hosts.remove_prefix(host.size() + 1);
  }
}

}  // namespace

std::string EtcdUrl::describe() const {
  std::string out(kScheme);
  for (size_t i = 0; i < endpoints.size(); ++i) out += (i == 0 ? "" : ",") + endpoints[i];
  return out + path;
}

Result<EtcdUrl> parse_etcd_url(std::string_view text) {
  if (!text.starts_with(kScheme)) return wrong("the scheme is not etcd");
  text.remove_prefix(kScheme.size());
  EtcdUrl url;
  const size_t question = text.find('?');
  if (question != text.npos) TRY(take_options(&url, text.substr(question + 1)));
  text = text.substr(0, question);
  if (const size_t at = text.rfind('@'); at != text.npos) {
    const std::string_view credentials = text.substr(0, at);
    const size_t colon = credentials.find(':');
    url.user = TRY(decoded(credentials.substr(0, colon)));
    if (colon != credentials.npos) url.password = TRY(decoded(credentials.substr(colon + 1)));
    text.remove_prefix(at + 1);
  }
  const size_t slash = text.find('/');
  if (slash != text.npos) url.path = TRY(decoded(text.substr(slash)));
  TRY(take_endpoints(&url, text.substr(0, slash)));
  if (!url.user.empty() && url.password.empty()) url.password = TRY(password_from_environment());
  return url;
}

}  // namespace cider::meta::kv
