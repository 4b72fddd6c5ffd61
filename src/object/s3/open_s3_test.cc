// What the shards of a volume have in common.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <thread>

#include "object/s3/s3_store.h"
#include "object/testing/aws_machine.h"
#include "object/testing/fake_http.h"

namespace cider::object::s3 {
namespace {

using testing::answer;
using testing::FakeHttp;
using testing::HttpAnswer;
using testing::HttpAsked;

constexpr int kShards = 8;
constexpr const char* kExpires = "2999-01-01T00:00:00Z";

// A machine whose keys come from `service`, and the buckets of a volume.
class ShardsOfS3 : public ::testing::Test {
 protected:
  // Reads an object of every shard, of all at once; answers how often `service` was asked.
  size_t requests_for_keys() {
    std::vector<StoreConfig> shards;
    for (int i = 0; i < kShards; i++) {
      shards.push_back({.storage = "s3", .bucket = buckets_.url("/bucket" + std::to_string(i))});
    }
    auto stores = open_shards(shards, machine_.environment());
    EXPECT_TRUE(stores) << stores.error().to_string();
    std::vector<std::jthread> threads;
    for (const auto& store : *stores) {
      threads.emplace_back([&store] {
        std::array<std::byte, 5> out;
        Status got = store->get("k", 0, out, {});
        EXPECT_TRUE(got) << got.error().to_string();
      });
    }
    threads.clear();
    std::map<std::string, int> asked;  // by path
    for (const HttpAsked& one : buckets_.asked()) {
      asked[one.target]++;
      EXPECT_NE(one.header("authorization").find("Credential=the-key/"), std::string::npos);
    }
    EXPECT_EQ(asked.size(), size_t{kShards});
    return service_.asked().size();
  }

  testing::AwsMachine machine_;
  HttpAnswer keys_;
  FakeHttp service_{[this](const HttpAsked&, int) { return keys_; }};
  FakeHttp buckets_{
      [](const HttpAsked&, int) { return answer(206, "hello", "Content-Range: bytes 0-4/5\r\n"); }};
};

TEST_F(ShardsOfS3, AskTheMetadataServiceOnce) {
  keys_ = answer(200, std::string(R"({"Code":"Success","AccessKeyId":"the-key","SecretAccessKey":"s",)") +
                          R"("Token":"t","Expiration":")" + kExpires + "\"}");
  machine_.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = service_.url("/keys");
  EXPECT_EQ(requests_for_keys(), 1u);
}

TEST_F(ShardsOfS3, AskForARoleOnce) {
  keys_ = answer(200, std::string("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>"
                                  "<Credentials><SessionToken>st</SessionToken><SecretAccessKey>sk"
                                  "</SecretAccessKey><Expiration>") +
                          kExpires +
                          "</Expiration><AccessKeyId>the-key</AccessKeyId></Credentials>"
                          "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
  machine_.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = machine_.write("token", "a-token");
  machine_.variables["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/pod";
  machine_.variables["AWS_ENDPOINT_URL_STS"] = service_.url("/");
  EXPECT_EQ(requests_for_keys(), 1u);
}

}  // namespace
}  // namespace cider::object::s3
