#include "object/s3/credentials.h"

#include <gtest/gtest.h>

#include <latch>
#include <map>
#include <thread>

#include "object/testing/aws_machine.h"
#include "object/testing/fake_http.h"

namespace cider::object::s3 {
namespace {

using object::testing::answer;
using object::testing::AwsMachine;
using object::testing::FakeHttp;
using object::testing::HttpAsked;
using object::testing::kInAnHour;
using object::testing::SetClock;

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto it = values.find(name);
    return it == values.end() ? std::string() : it->second;
  };
}

const Provider& s3() {
  return *find_provider("s3");
}

TEST(Credentials, OrderOfSources) {
  const std::map<std::string, std::string> aws = {
      {"AWS_ACCESS_KEY_ID", "env"}, {"AWS_SECRET_ACCESS_KEY", "s"}, {"AWS_SESSION_TOKEN", "t"}};
  CredentialSource given(s3(), {"set", "x", "", {}}, environment(aws));
  EXPECT_EQ(given.get({})->access_key, "set");
  CredentialSource from_env(s3(), {}, environment(aws));
  EXPECT_EQ(from_env.get({})->access_key, "env");
  EXPECT_EQ(from_env.get({})->session_token, "t");
  CredentialSource anonymous(s3(), {"anonymous", "", "", {}}, environment(aws));
  EXPECT_TRUE(anonymous.get({})->anonymous());
  auto minio = aws;
  minio["MINIO_ACCESS_KEY"] = "minio";
  minio["MINIO_SECRET_KEY"] = "m";
  CredentialSource own(*find_provider("minio"), {}, environment(minio));
  EXPECT_EQ(own.get({})->secret_key, "m");
  CredentialSource other(*find_provider("cos"), {}, environment(aws));
  EXPECT_TRUE(other.get({})->anonymous());
}

std::string keys_json(const std::string& key, const std::string& expires) {
  return R"({"Code":"Success","AccessKeyId":")" + key +
         R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + expires + "\"}";
}

TEST(Credentials, InstanceMetadataIsAskedAgainBeforeTheKeysExpire) {
  SetClock clock;
  bool broken = false;
  FakeHttp server([&](const HttpAsked& asked, int n) {
    if (broken) return answer(500, "");
    if (asked.method == "PUT")
      return answer(asked.header("x-aws-ec2-metadata-token-ttl-seconds").empty() ? 400 : 200, "tok");
    if (asked.header("x-aws-ec2-metadata-token") != "tok") return answer(401, "");
    if (asked.target.ends_with("/")) return answer(200, "role\n");
    return answer(200, keys_json("key" + std::to_string(n), kInAnHour));
  });
  CredentialSource source(s3(), {}, environment({{"AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url("/")}}),
                          clock);
  EXPECT_EQ(source.get({})->access_key, "key2");
  EXPECT_EQ(source.get({})->session_token, "t");
  EXPECT_EQ(server.asked().size(), 3u);
  clock.seconds += 3400;
  EXPECT_EQ(source.get({})->access_key, "key5");
  broken = true;  // what holds is used on
  clock.seconds += 100;
  EXPECT_EQ(source.get({})->access_key, "key5");
}

TEST(Credentials, AServiceThatFailsIsNotAskedWithEveryRequest) {
  SetClock clock;
  bool broken = false;
  FakeHttp server([&](const HttpAsked&, int n) {
    if (broken) return answer(500, "");
    return answer(200, keys_json("key" + std::to_string(n), kInAnHour));
  });
  CredentialSource source(s3(), {},
                          environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/keys")}}), clock);
  EXPECT_EQ(source.get({})->access_key, "key0");
  broken = true;
  clock.seconds += 3400;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(source.get({})->access_key, "key0");
  EXPECT_EQ(server.asked().size(), 2u);
  clock.seconds += 11;
  broken = false;
  EXPECT_EQ(source.get({})->access_key, "key2");
  EXPECT_EQ(server.asked().size(), 3u);
}

// The service may give the same keys until they have expired.
TEST(Credentials, KeysThatExpireSoonAreNotFetchedWithEveryRequest) {
  SetClock clock;
  FakeHttp server([&](const HttpAsked&, int n) {
    return answer(200, keys_json("key" + std::to_string(n), "2001-09-09T01:50:00Z"));  // in 200 s
  });
  CredentialSource source(s3(), {},
                          environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/keys")}}), clock);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(source.get({})->access_key, "key0");
  clock.seconds += 11;
  EXPECT_EQ(source.get({})->access_key, "key1");
}

TEST(Credentials, NobodyWaitsForNewKeysWhileTheOldHold) {
  SetClock clock;
  std::latch asked(1), go_on(1);
  FakeHttp server([&](const HttpAsked&, int n) {
    if (n == 1) {
      asked.count_down();
      go_on.wait();
    }
    return answer(200, keys_json("key" + std::to_string(n), kInAnHour));
  });
  CredentialSource source(s3(), {},
                          environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/keys")}}), clock);
  EXPECT_EQ(source.get({})->access_key, "key0");
  clock.seconds += 3400;
  std::jthread refreshes([&] { EXPECT_EQ(source.get({})->access_key, "key1"); });
  asked.wait();
  EXPECT_EQ(source.get({})->access_key, "key0");
  go_on.count_down();
}

TEST(Credentials, ContainerAndNobody) {
  FakeHttp server([](const HttpAsked& asked, int) {
    return asked.header("authorization") == "let me in" ? answer(200, keys_json("c", "2036-01-01T00:00:00Z"))
                                                        : answer(403, "");
  });
  CredentialSource source(s3(), {},
                          environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/keys")},
                                       {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in"}}));
  EXPECT_EQ(source.get({})->access_key, "c");
  CredentialSource refused(s3(), {},
                           environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/keys")}}));
  EXPECT_EQ(code_of(refused.get({})), EACCES);
  CredentialSource nobody(s3(), {}, environment({{"AWS_EC2_METADATA_DISABLED", "true"}}));
  EXPECT_TRUE(nobody.get({})->anonymous());
}

TEST(Credentials, AProfileComesBeforeTheContainerAndMayBeAbsent) {
  FakeHttp server([](const HttpAsked&, int) { return answer(200, keys_json("container", kInAnHour)); });
  AwsMachine machine;
  machine.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url("/");
  EXPECT_EQ(machine.source().get({})->access_key, "container");
  machine.write(".aws/config", "[default]\nregion=eu-west-1\n[profile work]\nregion=eu-west-1\n");
  machine.write(".aws/credentials", "[own]\naws_access_key_id=o\naws_secret_access_key=os\n");
  EXPECT_EQ(machine.source().get({})->access_key, "container");
  machine.variables["AWS_PROFILE"] = "work";
  EXPECT_EQ(machine.source().get({})->access_key, "container");
  machine.variables["AWS_PROFILE"] = "own";
  EXPECT_EQ(machine.source().get({})->access_key, "o");
  machine.variables["AWS_PROFILE"] = "other";
  EXPECT_EQ(code_of(machine.source().get({})), EINVAL);
  machine.variables.erase("AWS_PROFILE");
  machine.variables["AWS_SHARED_CREDENTIALS_FILE"] =
      machine.write("keys", "[default]\naws_access_key_id=d\naws_secret_access_key=ds\n");
  EXPECT_EQ(machine.source().get({})->access_key, "d");
}

}  // namespace
}  // namespace cider::object::s3
