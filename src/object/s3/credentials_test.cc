#include "object/s3/credentials.h"

#include <gtest/gtest.h>

#include <fstream>
#include <latch>
#include <map>
#include <thread>

#include "object/testing/fake_http.h"
#include "object/testing/temp_dir.h"

namespace cider::object::s3 {
namespace {

using object::testing::answer;
using object::testing::FakeHttp;
using object::testing::HttpAsked;

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) {
    const auto it = values.find(name);
    return it == values.end() ? std::string() : it->second;
  };
}

class SetClock final : public Clock {
 public:
  Time now() const override { return {seconds, 0}; }
  Monotonic::time_point monotonic() const override { return {}; }
  int64_t seconds = 1'000'000'000;
};

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

TEST(Credentials, Profiles) {
  const std::string credentials =
      "# a comment\n[default]\naws_access_key_id = d\naws_secret_access_key=ds\n\n"
      "[work]\naws_access_key_id=w\n aws_secret_access_key=nested\naws_secret_access_key = "
      "ws\naws_session_token=wt\n";
  const std::string config =
      "[profile from-config]\naws_access_key_id=c\naws_secret_access_key=cs\n[profile "
      "role]\nrole_arn=arn:x\n";
  EXPECT_EQ((*profile_credentials(credentials, config, "default"))->access_key, "d");
  EXPECT_EQ((*profile_credentials(credentials, config, "work"))->secret_key, "ws");
  EXPECT_EQ((*profile_credentials(credentials, config, "work"))->session_token, "wt");
  EXPECT_EQ((*profile_credentials(credentials, config, "from-config"))->access_key, "c");
  EXPECT_FALSE(*profile_credentials(credentials, config, "none"));
  EXPECT_EQ(code_of(profile_credentials(credentials, config, "role")), ENOTSUP);

  object::testing::TempDir dir;
  std::ofstream(dir.path() + "/keys") << credentials;
  CredentialSource source(
      s3(), {},
      environment({{"AWS_PROFILE", "work"}, {"AWS_SHARED_CREDENTIALS_FILE", dir.path() + "/keys"}}));
  EXPECT_EQ(source.get({})->access_key, "w");
  CredentialSource missing(s3(), {}, environment({{"AWS_PROFILE", "other"}, {"HOME", dir.path()}}));
  EXPECT_EQ(code_of(missing.get({})), EINVAL);
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
    return answer(200,
                  keys_json("key" + std::to_string(n), "2001-09-09T02:46:40Z"));  // an hour after the clock
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
    return answer(200, keys_json("key" + std::to_string(n), "2001-09-09T02:46:40Z"));
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

TEST(Credentials, NobodyWaitsForNewKeysWhileTheOldHold) {
  SetClock clock;
  std::latch asked(1), go_on(1);
  FakeHttp server([&](const HttpAsked&, int n) {
    if (n == 1) {
      asked.count_down();
      go_on.wait();
    }
    return answer(200, keys_json("key" + std::to_string(n), "2001-09-09T02:46:40Z"));
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

TEST(Credentials, MetadataThatIsNoneIsAnError) {
  for (const char* json :
       {"", "[]", "{", R"({"Code":"Failed"})", R"({"AccessKeyId":1,"SecretAccessKey":"x"})"}) {
    EXPECT_EQ(code_of(parse_metadata_credentials(json)), EACCES) << json;
  }
}

}  // namespace
}  // namespace cider::object::s3
