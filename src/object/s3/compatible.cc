#include "object/s3/compatible.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "object/s3/endpoint.h"

namespace cider::object::s3 {
namespace {

// The n-th part between the dots of a host, from 0; "" where it has fewer.
std::string label(std::string_view host, int n) {
  for (; n > 0; n--) {
    const size_t dot = host.find('.');
    if (dot == host.npos) return "";
    host.remove_prefix(dot + 1);
  }
  return std::string(host.substr(0, host.find('.')));
}

std::string without(std::string text, std::string_view prefix, std::string_view suffix = {}) {
  if (text.starts_with(prefix)) text.erase(0, prefix.size());
  if (!suffix.empty() && text.ends_with(suffix)) text.resize(text.size() - suffix.size());
  return text;
}

Status no_region(const Endpoint& e) {
  return fail(EINVAL, "the bucket's URL names no region (host " + e.host + "); add ?region=");
}

Status amazon(Endpoint& e) {
  if (const size_t vpce = e.host.find(".vpce."); vpce != e.host.npos && vpce > 0) {  // a private link
    const size_t dot = e.host.rfind('.', vpce - 1);
    e.region = e.host.substr(dot + 1, vpce - dot - 1);
    return {};
  }
  e.path_style = false;
  if (e.host.starts_with("s3-accelerate.")) return {};
  std::string rest = e.host.substr(e.host.starts_with("s3.") || e.host.starts_with("s3-") ? 3 : 0);
  rest = without(rest, "dualstack.");
  if (rest.starts_with("amazonaws.com")) return {};
  e.region = label(rest, 0);
  if (e.region == "external-1") e.region = "us-east-1";
  return {};
}

// Stores that JuiceFS users reach by `s3`; R2, B2 ... know their regions by their hosts.
Status custom(Endpoint& e) {
  if (e.amazon) return amazon(e);
  const std::string_view host = e.host;
  if (const size_t at = host.find(".compat.objectstorage.");
      at != host.npos && host.ends_with(".oraclecloud.com")) {
    e.region = label(host.substr(at + 22), 0);
  } else if (host.starts_with("s3.") && host.ends_with(".cloud.ovh.net")) {
    e.region = label(host, 1);
  } else if (host.ends_with(".r2.cloudflarestorage.com")) {
    e.region = "auto";
  } else if (host.starts_with("s3.") && (host.ends_with(".backblazeb2.com") ||
                                         host.ends_with(".wasabisys.com") || host.ends_with(".scw.cloud"))) {
    if (std::ranges::count(host, '.') == 3) e.region = label(host, 1);
  }
  return {};
}

Status minio(Endpoint&) {
  return {};
}

// s3.REGION.…, as wasabi, scw and b2 have it.
Status second_label(Endpoint& e) {
  e.path_style = false;
  if (std::ranges::count(e.host, '.') >= 3) e.region = label(e.host, 1);
  return {};
}

Status space(Endpoint& e) {
  e.path_style = false;
  e.region = label(e.host, 0);
  return {};
}

Status oos(Endpoint& e) {
  e.path_style = e.host.find("xstore.ctyun.cn") == e.host.npos;
  const std::string first = label(e.host, 0);
  if (!first.starts_with("oos-")) return no_region(e);
  e.region = first.substr(4);
  return {};
}

Status eos(Endpoint& e) {
  e.region = "us-east-1";
  return {};
}

Status ks3(Endpoint& e) {
  static constexpr auto kRegions =
      std::to_array<std::pair<std::string_view, std::string_view>>({{"cn-beijing", "BEIJING"},
                                                                    {"cn-shanghai", "SHANGHAI"},
                                                                    {"cn-guangzhou", "GUANGZHOU"},
                                                                    {"cn-qingdao", "QINGDAO"},
                                                                    {"jr-beijing", "JR_BEIJING"},
                                                                    {"jr-shanghai", "JR_SHANGHAI"},
                                                                    {"", "HANGZHOU"},
                                                                    {"cn-hk-1", "HONGKONG"},
                                                                    {"rus", "RUSSIA"},
                                                                    {"sgp", "SINGAPORE"}});
  if (!e.host.ends_with("ksyun.com") && !e.host.ends_with("ksyuncs.com")) return {};
  e.path_style = false;
  const std::string name = without(without(label(e.host, 0), "ks3", "-internal"), "-");
  for (const auto& [url, region] : kRegions) {
    if (url == name) e.region = region;
  }
  return e.region.empty() ? no_region(e) : Status();
}

Status qiniu(Endpoint& e) {
  e.path_style = true;
  const std::string first = label(e.host, 0);
  if (first.starts_with("s3-")) {
    e.region = first.substr(3);
  } else if (first.starts_with("qvm-z1")) {
    e.region = "cn-north-1";
  } else if (first.starts_with("qvm-")) {
    e.region = "cn-east-1";
  } else if (first.ends_with("-s3")) {
    e.region = without(first, "", "-s3");
  } else {
    return no_region(e);
  }
  return {};
}

Status r2(Endpoint& e) {
  e.path_style = true;
  e.region = "auto";
  return {};
}

// BUCKET.oss-REGION.aliyuncs.com; S3's interface is at s3.oss-REGION.aliyuncs.com.
Status oss(Endpoint& e) {
  e.path_style = false;
  if (!e.host.ends_with(".aliyuncs.com")) return {};
  if (e.host.starts_with("s3.")) e.host.erase(0, 3);
  const std::string first = label(e.host, 0);
  if (!first.starts_with("oss-")) return no_region(e);
  e.region = without(without(first, "oss-", "-internal"), "", "-vpc");
  e.host.insert(0, "s3.");
  return {};
}

// cos.REGION.…, obs.REGION.…
Status after_service(Endpoint& e) {
  e.path_style = false;
  e.region = label(e.host, 1);
  return {};
}

// BUCKET.REGION.bcebos.com; S3's interface is at s3.REGION.bcebos.com.
Status bos(Endpoint& e) {
  e.path_style = false;
  if (e.host == "bcebos.com") return no_region(e);
  if (!e.host.ends_with(".bcebos.com")) return {};
  if (!e.host.starts_with("s3.")) e.host.insert(0, "s3.");
  e.region = label(e.host, 1);
  return {};
}

// BUCKET.tos-REGION.volces.com; S3's interface is at tos-s3-REGION.volces.com.
Status tos(Endpoint& e) {
  e.path_style = false;
  if (!e.host.starts_with("tos-")) return {};
  const size_t region = e.host.starts_with("tos-s3-") ? 7 : 4;
  e.region = label(e.host.substr(region), 0);
  e.host.replace(0, region, "tos-s3-");
  return {};
}

constexpr auto kProviders = std::to_array<Provider>({
    {.name = "s3",
     .form = "https://BUCKET.s3.REGION.amazonaws.com, or http(s)://HOST[:PORT]/BUCKET for another store",
     .tls_by_default = false,
     .apply = custom,
     .aws_credentials = true,
     .instance_metadata = true},
    {.name = "minio",
     .form = "http(s)://HOST[:PORT]/BUCKET",
     .tls_by_default = false,
     .apply = minio,
     .region_variable = "MINIO_REGION",
     .key_variable = "MINIO_ACCESS_KEY",
     .secret_variable = "MINIO_SECRET_KEY",
     .aws_credentials = true},
    {.name = "wasabi", .form = "https://BUCKET.s3.REGION.wasabisys.com", .apply = second_label},
    {.name = "scw",
     .form = "https://BUCKET.s3.REGION.scw.cloud",
     .apply = second_label,
     .key_variable = "SCW_ACCESS_KEY",
     .secret_variable = "SCW_SECRET_KEY"},
    {.name = "space", .form = "https://BUCKET.REGION.digitaloceanspaces.com", .apply = space},
    {.name = "oos", .form = "https://BUCKET.oos-REGION.ctyunapi.cn", .apply = oos, .list_v1 = true},
    {.name = "eos",
     .form = "https://BUCKET.eos-REGION.cmecloud.cn",
     .apply = eos,
     .key_variable = "EOS_ACCESS_KEY",
     .secret_variable = "EOS_SECRET_KEY",
     .token_variable = "EOS_TOKEN"},
    {.name = "ks3", .form = "https://BUCKET.ks3-REGION.ksyuncs.com", .apply = ks3, .list_v1 = true},
    {.name = "qiniu", .form = "https://BUCKET.s3-REGION.qiniucs.com", .apply = qiniu},
    {.name = "r2", .form = "https://ACCOUNT.r2.cloudflarestorage.com/BUCKET", .apply = r2},
    {.name = "b2", .form = "https://BUCKET.s3.REGION.backblazeb2.com", .apply = second_label},
    {.name = "oss",
     .form = "https://BUCKET.oss-REGION.aliyuncs.com",
     .apply = oss,
     .region_variable = "ALICLOUD_REGION_ID",
     .key_variable = "ALICLOUD_ACCESS_KEY_ID",
     .secret_variable = "ALICLOUD_ACCESS_KEY_SECRET",
     .token_variable = "SECURITY_TOKEN"},
    {.name = "cos",
     .form = "https://BUCKET-APPID.cos.REGION.myqcloud.com",
     .apply = after_service,
     .key_variable = "COS_SECRETID",
     .secret_variable = "COS_SECRETKEY"},
    {.name = "obs",
     .form = "https://BUCKET.obs.REGION.myhuaweicloud.com",
     .apply = after_service,
     .key_variable = "HWCLOUD_ACCESS_KEY",
     .secret_variable = "HWCLOUD_SECRET_KEY"},
    {.name = "bos",
     .form = "https://BUCKET.REGION.bcebos.com",
     .apply = bos,
     .key_variable = "BDCLOUD_ACCESS_KEY",
     .secret_variable = "BDCLOUD_SECRET_KEY"},
    {.name = "tos", .form = "https://BUCKET.tos-REGION.volces.com", .apply = tos},
});

}  // namespace

std::span<const Provider> providers() {
  return kProviders;
}

const Provider* find_provider(std::string_view name) {
  const auto found = std::ranges::find(kProviders, name, &Provider::name);
  return found == kProviders.end() ? nullptr : &*found;
}

}  // namespace cider::object::s3
