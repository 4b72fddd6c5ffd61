#include "object/s3/endpoint.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "object/s3/compatible.h"

namespace cider::object::s3 {
namespace {

Environment none() {
  return [](const char*) { return std::string(); };
}

struct Case {
  const char* storage;
  const char* url;
  const char* expected;  // of the object "k"
  const char* region;
};

const Case kCases[] = {
    // AWS
    {"s3", "https://b.s3.eu-west-1.amazonaws.com", "https://b.s3.eu-west-1.amazonaws.com/k", "eu-west-1"},
    {"s3", "b.s3-eu-west-1.amazonaws.com", "https://b.s3-eu-west-1.amazonaws.com/k", "eu-west-1"},
    {"s3", "https://s3.eu-west-1.amazonaws.com/b", "https://b.s3.eu-west-1.amazonaws.com/k", "eu-west-1"},
    {"s3", "https://s3.cn-north-1.amazonaws.com.cn/b", "https://b.s3.cn-north-1.amazonaws.com.cn/k",
     "cn-north-1"},
    {"s3", "https://b.s3.amazonaws.com", "https://b.s3.amazonaws.com/k", "us-east-1"},
    {"s3", "https://b.s3.dualstack.eu-west-1.amazonaws.com",
     "https://b.s3.dualstack.eu-west-1.amazonaws.com/k", "eu-west-1"},
    {"s3", "https://a.b.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com/a.b/k", "eu-west-1"},
    {"s3", "https://s3.eu-west-1.amazonaws.com/b?region=eu-west-2", "https://b.s3.eu-west-1.amazonaws.com/k",
     "eu-west-2"},
    {"s3", "https://b.bucket.vpce-1a-2b.s3.us-east-2.vpce.amazonaws.com",
     "https://bucket.vpce-1a-2b.s3.us-east-2.vpce.amazonaws.com/b/k", "us-east-2"},
    {"s3", "mybucket", "https://mybucket.s3.amazonaws.com/k", "us-east-1"},
    // Others by `s3`
    {"s3", "http://localhost:9000/b/", "http://localhost:9000/b/k", "us-east-1"},
    {"s3", "127.0.0.1:9000/b", "http://127.0.0.1:9000/b/k", "us-east-1"},
    {"s3", "http://[::1]:9000/b", "http://[::1]:9000/b/k", "us-east-1"},
    {"s3", "http://h:80/b", "http://h/b/k", "us-east-1"},
    {"s3", "https://H.example:443/Bu", "https://h.example/Bu/k", "us-east-1"},
    {"s3", "https://b.objects.example.com", "https://objects.example.com/b/k", "us-east-1"},
    {"s3", "https://n.compat.objectstorage.eu-frankfurt-1.oraclecloud.com/b",
     "https://n.compat.objectstorage.eu-frankfurt-1.oraclecloud.com/b/k", "eu-frankfurt-1"},
    {"s3", "https://acc.r2.cloudflarestorage.com/b", "https://acc.r2.cloudflarestorage.com/b/k", "auto"},
    // By their names
    {"minio", "127.0.0.1:9000/b?region=here", "http://127.0.0.1:9000/b/k", "here"},
    {"minio", "http://h:9000/minio/b", "http://h:9000/b/k", "us-east-1"},
    {"wasabi", "b.s3.eu-central-1.wasabisys.com", "https://b.s3.eu-central-1.wasabisys.com/k",
     "eu-central-1"},
    {"wasabi", "https://b.s3.wasabisys.com", "https://b.s3.wasabisys.com/k", "us-east-1"},
    {"scw", "https://b.s3.fr-par.scw.cloud", "https://b.s3.fr-par.scw.cloud/k", "fr-par"},
    {"space", "https://b.nyc3.digitaloceanspaces.com", "https://b.nyc3.digitaloceanspaces.com/k", "nyc3"},
    {"oos", "https://b.oos-sccd.ctyunapi.cn", "https://oos-sccd.ctyunapi.cn/b/k", "sccd"},
    {"eos", "https://b.eos-wuxi-1.cmecloud.cn", "https://eos-wuxi-1.cmecloud.cn/b/k", "us-east-1"},
    {"ks3", "https://b.ks3-cn-beijing.ksyuncs.com", "https://b.ks3-cn-beijing.ksyuncs.com/k", "BEIJING"},
    {"ks3", "https://b.ks3-cn-shanghai-internal.ksyuncs.com",
     "https://b.ks3-cn-shanghai-internal.ksyuncs.com/k", "SHANGHAI"},
    {"qiniu", "https://b.s3-cn-east-1.qiniucs.com", "https://s3-cn-east-1.qiniucs.com/b/k", "cn-east-1"},
    {"qiniu", "https://b.cn-south-1-s3.qiniu.com", "https://cn-south-1-s3.qiniu.com/b/k", "cn-south-1"},
    {"r2", "https://acc.r2.cloudflarestorage.com/b", "https://acc.r2.cloudflarestorage.com/b/k", "auto"},
    {"b2", "https://b.s3.us-west-004.backblazeb2.com", "https://b.s3.us-west-004.backblazeb2.com/k",
     "us-west-004"},
    {"oss", "https://b.oss-cn-hangzhou.aliyuncs.com", "https://b.s3.oss-cn-hangzhou.aliyuncs.com/k",
     "cn-hangzhou"},
    {"oss", "https://b.oss-cn-hangzhou-internal.aliyuncs.com",
     "https://b.s3.oss-cn-hangzhou-internal.aliyuncs.com/k", "cn-hangzhou"},
    {"cos", "https://b-125.cos.ap-beijing.myqcloud.com", "https://b-125.cos.ap-beijing.myqcloud.com/k",
     "ap-beijing"},
    {"obs", "https://b.obs.cn-east-3.myhuaweicloud.com", "https://b.obs.cn-east-3.myhuaweicloud.com/k",
     "cn-east-3"},
    {"bos", "https://b.bj.bcebos.com", "https://b.s3.bj.bcebos.com/k", "bj"},
    {"tos", "https://b.tos-cn-beijing.volces.com", "https://b.tos-s3-cn-beijing.volces.com/k", "cn-beijing"},
};

TEST(Endpoint, UrlsOfEveryStore) {
  for (const Case& c : kCases) {
    const Provider* provider = find_provider(c.storage);
    ASSERT_TRUE(provider) << c.storage;
    const auto endpoint = parse_endpoint(*provider, c.url, none());
    ASSERT_TRUE(endpoint) << c.url << ": " << endpoint.error().message;
    EXPECT_EQ(endpoint->url("k"), c.expected) << c.url;
    EXPECT_EQ(endpoint->region, c.region) << c.url;
  }
  for (const Provider& provider : providers()) {
    EXPECT_TRUE(std::ranges::any_of(kCases, [&](const Case& c) { return provider.name == c.storage; }))
        << provider.name;
  }
}

TEST(Endpoint, Options) {
  const auto e = parse_endpoint(
      *find_provider("s3"),
      "https://h/b?tls-insecure-skip-verify=true&ca-certs=%2Fetc%2Fca.pem&ssl-cert=/c&ssl-key=/k"
      "&disable-checksum=true&disable-100-continue=true",
      none());
  ASSERT_TRUE(e) << e.error().message;
  EXPECT_FALSE(e->verify_tls);
  EXPECT_EQ(e->ca_file, "/etc/ca.pem");
  EXPECT_EQ(e->cert_file, "/c");
  EXPECT_EQ(e->key_file, "/k");
  EXPECT_FALSE(e->checksum);
  EXPECT_FALSE(e->expect_continue);
}

TEST(Endpoint, Environment) {
  const Environment env = [](const char* name) -> std::string {
    if (std::string_view(name) == "AWS_DEFAULT_REGION") return "eu-north-1";
    if (std::string_view(name) == "MINIO_REGION") return "mine";
    if (std::string_view(name) == "JFS_S3_VHOST_STYLE") return "1";
    return "";
  };
  EXPECT_EQ(parse_endpoint(*find_provider("s3"), "http://h.x/b", env)->region, "eu-north-1");
  EXPECT_EQ(parse_endpoint(*find_provider("minio"), "http://h.x/b", env)->region, "mine");
  EXPECT_EQ(parse_endpoint(*find_provider("minio"), "http://h.x/b", env)->url("k"), "http://b.h.x/k");
}

TEST(Endpoint, BadUrlsAreNamedWithoutSecrets) {
  for (const char* url :
       {"", "https://", "ftp://h/b", "http://h/b/c", "http://key:secret@h/b", "https://h/b?what=1",
        "https://h/b?disable-checksum=maybe", "https://h/b?ssl-cert=/c", "http://h/b%20", "http://h x/b",
        "https://.s3.amazonaws.com", "http://localhost:9000", "https://:443/b", "http://b.:9000"}) {
    const auto endpoint = parse_endpoint(*find_provider("minio"), url, none());
    EXPECT_EQ(code_of(endpoint), EINVAL) << url;
    EXPECT_EQ((endpoint ? "" : endpoint.error().message).find("secret@"), std::string::npos);
  }
  EXPECT_EQ(code_of(parse_endpoint(*find_provider("ks3"), "https://b.ks3-mars.ksyuncs.com", none())), EINVAL);
}

}  // namespace
}  // namespace cider::object::s3
