#include "object/s3/profile.h"

#include <gtest/gtest.h>

#include "object/s3/sigv4.h"
#include "object/testing/aws_machine.h"
#include "object/testing/fake_http.h"
#include "object/testing/servers.h"

namespace cider::object::s3 {
namespace {

using object::testing::answer;
using object::testing::AwsMachine;
using object::testing::FakeHttp;
using object::testing::HttpAnswer;
using object::testing::HttpAsked;
using object::testing::kInAnHour;

constexpr const char* kBase = "[base]\naws_access_key_id=base\naws_secret_access_key=base-secret\n";

HttpAnswer role_keys(const std::string& action, const std::string& key) {
  return answer(200, "<" + action + "Response><" + action + "Result><Credentials><AccessKeyId>" + key +
                         "</AccessKeyId><SecretAccessKey>s-" + key + "</SecretAccessKey><SessionToken>t-" +
                         key + "</SessionToken><Expiration>" + kInAnHour + "</Expiration></Credentials></" +
                         action + "Result></" + action + "Response>");
}

// A machine with profiles and an STS, which gives key0, key1 ...
class Profile : public ::testing::Test {
 protected:
  Profile() { machine_.variables["AWS_ENDPOINT_URL_STS"] = sts_.url("/"); }

  Result<Credentials> get(const std::string& config, const char* profile = "default") {
    machine_.write(".aws/credentials", kBase);
    machine_.write(".aws/config", config);
    machine_.variables["AWS_PROFILE"] = profile;
    return machine_.source().get({});
  }
  std::string key(const std::string& config) {
    const auto keys = get(config);
    return keys ? keys->access_key : keys.error().to_string();
  }
  // Of an error with this code, for `config`.
  std::string refusal(int code, const std::string& config) {
    const auto refused = get(config);
    EXPECT_EQ(code_of(refused), code) << config;
    return refused ? "" : refused.error().message;
  }

  AwsMachine machine_;
  FakeHttp sts_{[this](const HttpAsked& asked, int n) {
    if (status_ != 200) return answer(status_, error_);
    const bool web = asked.body.starts_with("Action=AssumeRoleWithWebIdentity&");
    return role_keys(web ? "AssumeRoleWithWebIdentity" : "AssumeRole", "key" + std::to_string(n));
  }};
  int status_ = 200;
  std::string error_;
};

// What a server computes from the request that it got.
std::string signature_of(const HttpAsked& asked, const Signer& signer) {
  const std::string date = asked.header("x-amz-date");
  RequestToSign request = {.method = asked.method,
                           .path = asked.target,
                           .query = {},
                           .headers = {{"content-type", asked.header("content-type")},
                                       {"host", asked.header("host")},
                                       {"x-amz-date", date}},
                           .payload_hash = sha256_hex(asked.body)};
  const std::string token = asked.header("x-amz-security-token");
  if (!token.empty()) request.headers.emplace_back("x-amz-security-token", token);
  return authorization(signer, request, date);
}

TEST_F(Profile, KeysThatStandInIt) {
  EXPECT_EQ(key("[default]\naws_access_key_id=k\naws_secret_access_key=s\naws_session_token=t\n"), "k");
  EXPECT_EQ(get("", "base")->secret_key, "base-secret");
  EXPECT_NE(refusal(EINVAL, "[default]\naws_access_key_id=k\n").find("go together"), std::string::npos);
  EXPECT_TRUE(sts_.asked().empty());
}

TEST_F(Profile, ARoleForTheKeysOfAnotherProfile) {
  const auto keys =
      get("[default]\nrole_arn=arn:aws:iam::1:role/data\nsource_profile=base\nexternal_id=x 1\n"
          "role_session_name=me\nduration_seconds=900\nregion=eu-west-1\n");
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_EQ(keys->access_key, "key0");
  EXPECT_EQ(keys->secret_key, "s-key0");
  EXPECT_EQ(keys->session_token, "t-key0");
  EXPECT_EQ(keys->expires, 1'000'003'600);
  const HttpAsked asked = sts_.asked().at(0);
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(
      asked.body,
      "Action=AssumeRole&DurationSeconds=900&ExternalId=x%201&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fdata"
      "&RoleSessionName=me&Version=2011-06-15");
  EXPECT_EQ(asked.header("x-amz-date"), "20010909T014640Z");
  EXPECT_EQ(asked.header("authorization"), signature_of(asked, {"base", "base-secret", "eu-west-1", "sts"}));
}

TEST_F(Profile, TheEnvironmentsRegionCountsAndWithoutAnyTheGlobalServiceIsMeant) {
  const std::string config = "[default]\nrole_arn=arn:x\nsource_profile=base\n";
  EXPECT_EQ(key(config), "key0");
  EXPECT_EQ(sts_.asked().at(0).header("authorization"),
            signature_of(sts_.asked().at(0), {"base", "base-secret", "us-east-1", "sts"}));
  machine_.variables["AWS_REGION"] = "eu-north-1";
  EXPECT_EQ(key(config + "region=eu-west-1\n"), "key1");
  EXPECT_EQ(sts_.asked().at(1).header("authorization"),
            signature_of(sts_.asked().at(1), {"base", "base-secret", "eu-north-1", "sts"}));
}

TEST_F(Profile, RolesInAChain) {
  EXPECT_EQ(key("[default]\nrole_arn=arn:c\nsource_profile=b\n"
                "[profile b]\nrole_arn=arn:b\nsource_profile=a\n"
                "[profile a]\nrole_arn=arn:a\nsource_profile=base\n"),
            "key2");
  const auto asked = sts_.asked();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_NE(asked[0].body.find("RoleArn=arn%3Aa"), std::string::npos);
  EXPECT_NE(asked[1].body.find("RoleArn=arn%3Ab"), std::string::npos);
  EXPECT_NE(asked[2].body.find("RoleArn=arn%3Ac"), std::string::npos);
  EXPECT_EQ(asked[2].header("x-amz-security-token"), "t-key1");
  EXPECT_EQ(asked[2].header("authorization"), signature_of(asked[2], {"key1", "s-key1", "us-east-1", "sts"}));
}

TEST_F(Profile, AProfileMayNameItselfForItsOwnKeys) {
  EXPECT_EQ(key("[default]\nrole_arn=arn:x\nsource_profile=default\naws_access_key_id=own\n"
                "aws_secret_access_key=s\n"),
            "key0");
  EXPECT_NE(sts_.asked().at(0).header("authorization").find("Credential=own/"), std::string::npos);
}

TEST_F(Profile, ItsOwnKeysAreNotMeantBesideAnotherProfile) {
  EXPECT_EQ(key("[default]\nrole_arn=arn:x\nsource_profile=base\naws_access_key_id=own\n"
                "aws_secret_access_key=s\n"),
            "key0");
  EXPECT_NE(sts_.asked().at(0).header("authorization").find("Credential=base/"), std::string::npos);
}

TEST_F(Profile, ACircleIsAnError) {
  for (const char* config : {"[default]\nrole_arn=arn:x\nsource_profile=default\n",
                             "[default]\nrole_arn=arn:x\nsource_profile=a\n"
                             "[profile a]\nrole_arn=arn:a\nsource_profile=b\n"
                             "[profile b]\nrole_arn=arn:b\nsource_profile=a\n"}) {
    EXPECT_NE(refusal(EINVAL, config).find("circle"), std::string::npos);
  }
  EXPECT_TRUE(sts_.asked().empty());
}

TEST_F(Profile, WhatTheSourceProfileLacksIsTold) {
  EXPECT_NE(refusal(EINVAL, "[default]\nrole_arn=arn:x\nsource_profile=nobody\n")
                .find("source_profile \"nobody\" doesn't exist"),
            std::string::npos);
  EXPECT_NE(refusal(EINVAL, "[default]\nrole_arn=arn:x\nsource_profile=a\n[profile a]\nregion=r\n")
                .find("source_profile \"a\" has no keys"),
            std::string::npos);
}

TEST_F(Profile, ARoleForTheKeysOfTheMachine) {
  FakeHttp metadata([](const HttpAsked& asked, int) {
    if (asked.method == "PUT") return answer(200, "tok");
    if (asked.target.ends_with("/")) return answer(200, "role");
    return answer(200, R"({"AccessKeyId":"machine","SecretAccessKey":"s","Token":"t"})");
  });
  auto signed_by = [&](const std::string& config) {
    const auto keys = get(config);
    if (!keys) return keys.error().to_string();
    const std::string header = sts_.asked().back().header("authorization");
    return header.substr(header.find('=') + 1, header.find('/') - header.find('=') - 1);
  };
  const std::string role = "[default]\nrole_arn=arn:x\n";
  EXPECT_NE(refusal(EACCES, role + "credential_source=Ec2InstanceMetadata\n").find("Ec2InstanceMetadata"),
            std::string::npos);
  EXPECT_NE(refusal(EACCES, role + "credential_source=EcsContainer\n").find("EcsContainer"),
            std::string::npos);
  EXPECT_NE(refusal(EACCES, role + "credential_source=Environment\n").find("Environment"), std::string::npos);
  EXPECT_NE(refusal(EACCES, role).find("this machine"), std::string::npos);
  EXPECT_NE(refusal(EINVAL, role + "credential_source=Elsewhere\n").find("neither"), std::string::npos);
  machine_.variables.erase("AWS_EC2_METADATA_DISABLED");
  machine_.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = metadata.url("");
  EXPECT_EQ(signed_by(role + "credential_source=Ec2InstanceMetadata\n"), "machine");
  EXPECT_EQ(signed_by(role), "machine");
  FakeHttp container([](const HttpAsked&, int) {
    return answer(200, R"({"AccessKeyId":"container","SecretAccessKey":"s","Token":"t"})");
  });
  machine_.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.url("/");
  EXPECT_EQ(signed_by(role + "credential_source=EcsContainer\n"), "container");
  EXPECT_EQ(signed_by(role), "container");
}

// Variables come before profiles, so that only whoever asks for the profile itself meets this.
TEST_F(Profile, ARoleForTheKeysOfTheEnvironment) {
  machine_.variables["AWS_ACCESS_KEY_ID"] = "env";
  machine_.variables["AWS_SECRET_ACCESS_KEY"] = "env-secret";
  const ProfileFiles files("", "[default]\nrole_arn=arn:x\ncredential_source=Environment\n");
  const auto keys = profile_credentials(files, "default", machine_.context());
  ASSERT_TRUE(keys && *keys);
  EXPECT_EQ((*keys)->access_key, "key0");
  EXPECT_NE(sts_.asked().at(0).header("authorization").find("Credential=env/"), std::string::npos);
}

TEST_F(Profile, AWebIdentity) {
  const std::string token = machine_.write("token", "a-token\n");
  EXPECT_EQ(key("[default]\nrole_arn=arn:x\nweb_identity_token_file=" + token + "\nrole_session_name=me\n"),
            "key0");
  const HttpAsked asked = sts_.asked().at(0);
  EXPECT_EQ(asked.body,
            "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Ax&RoleSessionName=me&Version=2011-06-15"
            "&WebIdentityToken=a-token");
  EXPECT_EQ(asked.header("authorization"), "");
  EXPECT_EQ(sts_.asked().size(), 1u);
  refusal(EACCES, "[default]\nrole_arn=arn:x\nweb_identity_token_file=/nowhere\n");
}

TEST_F(Profile, AProgramIsRunAgainBeforeItsKeysExpire) {
  const std::string line = R"(printf '{"Version":1,"AccessKeyId":"process","SecretAccessKey":"s",)"
                           R"("Expiration":"%s"}' )" +
                           std::string(kInAnHour) + "; echo >> " + machine_.path("runs");
  const std::string config =
      "[default]\ncredential_process = sh " + machine_.write("program", line) + " a-word\n";
  machine_.write(".aws/config", config);
  CredentialSource source = machine_.source();
  const auto keys = source.get({});
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_EQ(keys->access_key, "process");
  EXPECT_EQ(source.get({})->expires, 1'000'003'600);
  EXPECT_EQ(machine_.read("runs"), "\n");
  machine_.clock.seconds += 3400;
  EXPECT_EQ(source.get({})->access_key, "process");
  EXPECT_EQ(machine_.read("runs"), "\n\n");
  EXPECT_EQ(key("[default]\nrole_arn=arn:x\nsource_profile=p\n[profile p]\n" +
                config.substr(config.find('\n') + 1)),
            "key0");
  const std::string text = refusal(EACCES, "[default]\ncredential_process=false a-secret\n");
  EXPECT_NE(text.find("AWS profile \"default\": the credential_process failed with exit code 1"), text.npos)
      << text;
  EXPECT_EQ(text.find("secret"), text.npos) << text;
}

TEST_F(Profile, WhatCannotBeMeantIsRefused) {
  const std::string role = "[default]\nrole_arn=arn:x\n";
  refusal(EINVAL, role + "source_profile=base\ncredential_source=Environment\n");
  refusal(EINVAL, role + "web_identity_token_file=/f\ncredential_process=true\n");
  refusal(EINVAL, "[default]\nsource_profile=base\n");
  refusal(EINVAL, "[default]\ncredential_source=Environment\n");
  refusal(EINVAL, "[default]\nweb_identity_token_file=/f\n");
  refusal(EINVAL, role + "source_profile=base\nduration_seconds=1h\n");
  EXPECT_NE(refusal(ENOTSUP, role + "source_profile=base\nmfa_serial=arn:m\n").find("mfa_serial"),
            std::string::npos);
  EXPECT_NE(refusal(ENOTSUP, "[default]\nlogin_session=arn:m\n").find("login_session"), std::string::npos);
  EXPECT_TRUE(sts_.asked().empty());
}

TEST_F(Profile, ARefusalOfTheRoleIsToldWithoutSecrets) {
  status_ = 403;
  error_ =
      "<ErrorResponse><Error><Code>AccessDenied</Code><Message>base-secret with x-1 may not</Message></Error>"
      "</ErrorResponse>";
  const std::string config = "[default]\nrole_arn=arn:x\nsource_profile=base\nexternal_id=x-1\n";
  EXPECT_NE(
      refusal(EACCES, config).find("the role arn:x: AccessDenied (403): (secret) with (secret) may not"),
      std::string::npos)
      << refusal(EACCES, config);
  status_ = 503;
  refusal(EAGAIN, config);
}

// MinIO gives such keys as well, and knows a wrong signature.
TEST(ProfileAndMinio, KeysOfARoleOpenTheStore) {
  const auto server = object::testing::S3Server::minio();
  if (code_of(server) == ENODEV) GTEST_SKIP() << server.error().message;
  ASSERT_TRUE(server) << server.error().to_string();
  using Server = object::testing::S3Server;
  AwsMachine machine;
  machine.clock.seconds = Clock::system().now().sec;
  machine.variables["AWS_ENDPOINT_URL_STS"] = (*server)->url("");
  machine.write(".aws/config", std::string("[default]\nrole_arn=arn:x\nsource_profile=base\n"
                                           "duration_seconds=3600\n[profile base]\naws_access_key_id=") +
                                   Server::kAccessKey + "\naws_secret_access_key=" + Server::kSecretKey +
                                   "\n");
  const auto keys = machine.source().get({});
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_NE(keys->access_key, Server::kAccessKey);
  EXPECT_GT(*keys->expires, machine.clock.seconds + 3000);
  StoreConfig config = (*server)->new_bucket();
  config.access_key = keys->access_key;
  config.secret_key = keys->secret_key;
  config.session_token = keys->session_token;
  const auto store = open_store(config);
  ASSERT_TRUE(store) << store.error().to_string();
  const Status created = (*store)->create();
  EXPECT_TRUE(created) << created.error().to_string();

  machine.write(".aws/credentials", "[base]\naws_access_key_id=" + std::string(Server::kAccessKey) +
                                        "\naws_secret_access_key=wrong-secret\n");
  EXPECT_EQ(code_of(machine.source().get({})), EACCES);
}

}  // namespace
}  // namespace cider::object::s3
