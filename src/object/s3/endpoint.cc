#include "object/s3/endpoint.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "object/s3/compatible.h"
#include "object/s3/sigv4.h"

namespace cider::object::s3 {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::unexpected<Error> bad_url(const Provider& provider, const std::string& why) {
  return fail(EINVAL, "the bucket's URL is not valid for storage " + std::string(provider.name) + ": " + why +
                          "; its form is " + std::string(provider.form));
}

std::string decoded(std::string_view in) {
  std::string out;
  for (size_t i = 0; i < in.size(); i++) {
    if (in[i] == '%' && i + 2 < in.size() && std::isxdigit(static_cast<unsigned char>(in[i + 1])) &&
        std::isxdigit(static_cast<unsigned char>(in[i + 2]))) {
      out += static_cast<char>(std::stoi(std::string(in.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += in[i];
    }
  }
  return out;
}

Result<bool> parse_bool(std::string_view name, std::string_view value) {
  const std::string word = lower(value);
  if (word == "true" || word == "1" || word == "t") return true;
  if (word == "false" || word == "0" || word == "f") return false;
  return fail(EINVAL, "option " + std::string(name) + " of the bucket's URL is \"" + std::string(value) +
                          "\"; use true or false");
}

Status take_option(Endpoint& out, std::string_view name, const std::string& value) {
  if (name == "region") {
    out.region = value;
  } else if (name == "tls-insecure-skip-verify") {
    out.verify_tls = !TRY(parse_bool(name, value));
  } else if (name == "ca-certs") {
    out.ca_file = value;
  } else if (name == "ssl-cert") {
    out.cert_file = value;
  } else if (name == "ssl-key") {
    out.key_file = value;
  } else if (name == "disable-checksum") {
    out.checksum = !TRY(parse_bool(name, value));
  } else if (name == "disable-100-continue") {
    out.expect_continue = !TRY(parse_bool(name, value));
  } else {
    return fail(EINVAL,
                "option \"" + std::string(name) +
                    "\" of the bucket's URL is not known; there are region, tls-insecure-skip-verify, "
                    "ca-certs, ssl-cert, ssl-key, disable-checksum, disable-100-continue");
  }
  return {};
}

Status take_options(Endpoint& out, std::string_view query) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view option = query.substr(0, end);
    query = end == query.npos ? std::string_view() : query.substr(end + 1);
    if (option.empty()) continue;
    const size_t equals = option.find('=');
    TRY(take_option(out, option.substr(0, equals),
                    equals == option.npos ? std::string() : decoded(option.substr(equals + 1))));
  }
  if (out.cert_file.empty() != out.key_file.empty()) {
    return fail(EINVAL, "ssl-cert and ssl-key of the bucket's URL go together");
  }
  return {};
}

bool valid_host(std::string_view host) {
  return !host.empty() && !host.starts_with(':') && std::ranges::all_of(host, [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  });
}

bool valid_bucket(std::string_view bucket) {
  return !bucket.empty() && bucket != "." && bucket != ".." &&
         std::ranges::all_of(
             bucket, [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '_'; });
}

// The bucket is the path's first part or, without a path, what stands before the host.
Status take_host_and_bucket(const Provider& provider, Endpoint& out, std::string_view host,
                            std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (provider.name == "minio" && path.starts_with("minio/")) path.remove_prefix(6);  // the console's URLs
  out.host = lower(host);
  out.amazon = out.host.ends_with(".amazonaws.com") || out.host.ends_with(".amazonaws.com.cn");
  if (!path.empty()) {
    if (path.find('/') != path.npos)
      return bad_url(provider, "there is more than the bucket's name in its path");
    out.bucket = path;
  } else if (host.find('.') == host.npos && provider.name == "s3") {
    out.bucket = host;  // a bucket of AWS; its region is learned from the first answer
    out.host = "s3.amazonaws.com";
    out.amazon = true;
  } else {
    const size_t endpoint =
        out.amazon && out.host.find(".vpce.") == out.host.npos ? out.host.find(".s3") : host.find('.');
    if (endpoint == host.npos || endpoint == 0) return bad_url(provider, "it has no bucket");
    out.bucket = host.substr(0, endpoint);
    out.host.erase(0, endpoint + 1);
  }
  if (!valid_bucket(out.bucket)) return bad_url(provider, "\"" + out.bucket + "\" can't be a bucket's name");
  if (!valid_host(out.host)) return bad_url(provider, "\"" + out.host + "\" can't be a host's name");
  return {};
}

}  // namespace

Environment process_environment() {
  return [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
}

std::string Endpoint::path(std::string_view key) const {
  std::string out = "/";
  if (path_style) out += bucket + (key.empty() ? "" : "/");
  return out + uri_encode(key, true);
}

Result<Endpoint> parse_endpoint(const Provider& provider, std::string_view bucket_url,
                                const Environment& env) {
  Endpoint out;
  std::string_view rest = bucket_url;
  if (const size_t query = rest.find('?'); query != rest.npos) {
    TRY(take_options(out, rest.substr(query + 1)));
    rest = rest.substr(0, query);
  }
  std::string scheme;
  if (const size_t colon = rest.find("://"); colon != rest.npos) {
    scheme = lower(rest.substr(0, colon));
    rest.remove_prefix(colon + 3);
    if (scheme != "http" && scheme != "https") return bad_url(provider, "it begins with " + scheme + "://");
  }
  const size_t slash = rest.find('/');
  std::string_view host = rest.substr(0, slash);
  if (host.find('@') != host.npos) {
    return fail(EINVAL, "the bucket's URL has keys in it; use --access-key and --secret-key");
  }
  if (host.empty()) return bad_url(provider, "it has no host");
  TRY(take_host_and_bucket(provider, out, host,
                           slash == rest.npos ? std::string_view() : rest.substr(slash)));
  // As JuiceFS: custom endpoints without a scheme are plain http for `s3` and `minio`.
  out.tls = scheme.empty() ? provider.tls_by_default || out.amazon : scheme == "https";
  const std::string_view own_port = out.tls ? ":443" : ":80";
  if (out.host.ends_with(own_port)) out.host.resize(out.host.size() - own_port.size());

  const std::string given = out.region;
  const std::string style = lower(env("JFS_S3_VHOST_STYLE"));
  out.path_style = style.empty() || style == "0" || style == "false";
  TRY(provider.apply(out));
  if (!given.empty()) out.region = given;
  if (out.region.empty() && !provider.region_variable.empty()) {
    out.region = env(std::string(provider.region_variable).c_str());
  }
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (out.region.empty() && provider.aws_credentials && provider.name == "s3") out.region = env(name);
  }
  if (out.region.empty()) out.region = "us-east-1";
  // A wildcard certificate covers one label.
  if (out.tls && out.amazon && out.bucket.find('.') != out.bucket.npos) out.path_style = true;
  return out;
}

}  // namespace cider::object::s3
