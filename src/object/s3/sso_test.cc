#include "object/s3/sso.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "object/testing/aws_machine.h"
#include "object/testing/fake_http.h"

namespace cider::object::s3 {
namespace {

using object::testing::answer;
using object::testing::AwsMachine;
using object::testing::FakeHttp;
using object::testing::HttpAsked;

constexpr const char* kKeys =
    R"({"roleCredentials":{"accessKeyId":"k","secretAccessKey":"s","sessionToken":"t","expiration":1000003600000}})";
// SHA-1 of "my-sso" and of "https://my.awsapps.com/start".
constexpr const char* kSessionFile = ".aws/sso/cache/0ad374308c5a4e22f723adf10145eafad7c4031c.json";
constexpr const char* kStartUrlFile = ".aws/sso/cache/40840c65697c043e2a71754cccb2ab4de3acc1c1.json";

class Sso : public ::testing::Test {
 protected:
  Sso() {
    machine_.write(".aws/config",
                   "[default]\nsso_session = my-sso\nsso_account_id = 123456789012\nsso_role_name = Reader\n"
                   "[sso-session my-sso]\nsso_region = eu-central-1\nsso_start_url = https://x\n"
                   "[profile old]\nsso_start_url = https://my.awsapps.com/start\nsso_region = eu-central-1\n"
                   "sso_account_id = 123456789012\nsso_role_name = Reader\n");
    machine_.variables["AWS_ENDPOINT_URL_SSO"] = portal_.url("/");
    machine_.variables["AWS_ENDPOINT_URL_SSO_OIDC"] = oidc_.url("/");
  }

  void token(const char* file, const std::string& expires, const std::string& more = "") const {
    machine_.write(file, R"({"accessToken":"the-token","expiresAt":")" + expires + "\"" + more + "}");
  }
  Result<Credentials> get() const { return machine_.source().get({}); }

  AwsMachine machine_;
  FakeHttp portal_{[this](const HttpAsked&, int) { return answer(status_, body_); }};
  FakeHttp oidc_{[this](const HttpAsked&, int) { return answer(oidc_status_, oidc_body_); }};
  int status_ = 200;
  std::string body_ = kKeys;
  int oidc_status_ = 200;
  std::string oidc_body_ = R"({"accessToken":"new-token","expiresIn":3600,"refreshToken":"r2"})";
};

constexpr const char* kRenewable =
    R"(,"refreshToken":"r1","clientId":"c","clientSecret":"cs","startUrl":"https://x")";

TEST_F(Sso, TheTokenOfTheSessionIsChangedForKeys) {
  token(kSessionFile, object::testing::kInAnHour);
  const auto keys = get();
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_EQ(keys->access_key, "k");
  EXPECT_EQ(keys->secret_key, "s");
  EXPECT_EQ(keys->session_token, "t");
  EXPECT_EQ(keys->expires, 1'000'003'600);
  const HttpAsked asked = portal_.asked().at(0);
  EXPECT_EQ(asked.method, "GET");
  EXPECT_EQ(asked.target, "/federation/credentials?account_id=123456789012&role_name=Reader");
  EXPECT_EQ(asked.header("x-amz-sso_bearer_token"), "the-token");
}

TEST_F(Sso, TheOldFormIsKnownByItsUrl) {
  machine_.variables["AWS_PROFILE"] = "old";
  token(kStartUrlFile, object::testing::kInAnHour, kRenewable);
  EXPECT_EQ(get()->access_key, "k");
  machine_.clock.seconds += 3600;  // such tokens are not renewed
  const auto expired = get();
  EXPECT_EQ(code_of(expired), EACCES);
  EXPECT_NE(expired.error().message.find("aws sso login"), std::string::npos) << expired.error().message;
  EXPECT_TRUE(oidc_.asked().empty());
}

TEST_F(Sso, ASessionsTokenIsRenewedAndKept) {
  token(kSessionFile, "2001-09-09T01:46:40Z", kRenewable);
  EXPECT_EQ(get()->access_key, "k");
  EXPECT_EQ(portal_.asked().at(0).header("x-amz-sso_bearer_token"), "new-token");
  const HttpAsked asked = oidc_.asked().at(0);
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.target, "/token");
  EXPECT_EQ(nlohmann::json::parse(asked.body), (nlohmann::json{{"clientId", "c"},
                                                               {"clientSecret", "cs"},
                                                               {"grantType", "refresh_token"},
                                                               {"refreshToken", "r1"}}));
  const auto kept = nlohmann::json::parse(machine_.read(kSessionFile));
  EXPECT_EQ(kept, (nlohmann::json{{"accessToken", "new-token"},
                                  {"expiresAt", object::testing::kInAnHour},
                                  {"refreshToken", "r2"},
                                  {"clientId", "c"},
                                  {"clientSecret", "cs"},
                                  {"startUrl", "https://x"}}));
  EXPECT_EQ(get()->access_key, "k");
  EXPECT_EQ(oidc_.asked().size(), 1u);
  // One file, that only its owner reads.
  const auto folder = std::filesystem::path(machine_.path(kSessionFile)).parent_path();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_EQ(std::filesystem::status(machine_.path(kSessionFile)).permissions(), std::filesystem::perms(0600));
}

TEST_F(Sso, ARenewalThatIsRefusedSaysWhatToDo) {
  token(kSessionFile, "2001-09-09T01:46:40Z", kRenewable);
  oidc_status_ = 400;
  oidc_body_ = R"({"error":"invalid_grant","error_description":"r1 is over"})";
  const auto refused = get();
  EXPECT_EQ(code_of(refused), EACCES);
  const std::string text = refused.error().message;
  EXPECT_NE(text.find("aws sso login"), text.npos) << text;
  EXPECT_NE(text.find("invalid_grant (400): (secret) is over"), text.npos) << text;
  oidc_status_ = 503;
  EXPECT_EQ(code_of(get()), EAGAIN);
  oidc_status_ = 200;
  oidc_body_ = "{}";
  EXPECT_EQ(code_of(get()), EIO);
  EXPECT_TRUE(portal_.asked().empty());
}

TEST_F(Sso, WithoutALoginTheErrorSaysWhatToDo) {
  for (const char* content :
       {"", "{}", R"({"accessToken":"t"})", R"({"accessToken":"t","expiresAt":"soon"})"}) {
    if (*content) machine_.write(kSessionFile, content);
    const auto refused = get();
    EXPECT_EQ(code_of(refused), EACCES) << content;
    EXPECT_NE(refused.error().message.find("aws sso login"), std::string::npos) << refused.error().message;
  }
  token(kSessionFile, "2001-09-09T01:46:40Z");  // nothing to renew it with
  EXPECT_EQ(code_of(get()), EACCES);
  EXPECT_TRUE(portal_.asked().empty());
  EXPECT_TRUE(oidc_.asked().empty());
}

TEST_F(Sso, ARefusalIsToldWithoutTheToken) {
  token(kSessionFile, object::testing::kInAnHour);
  status_ = 401;
  body_ = R"({"message":"Session token the-token not found or invalid"})";
  const auto refused = get();
  EXPECT_EQ(code_of(refused), EACCES);
  const std::string text = refused.error().message;
  EXPECT_NE(text.find("role Reader of account 123456789012: status 401: Session token (secret) not found"),
            text.npos)
      << text;
  EXPECT_NE(text.find("aws sso login"), text.npos) << text;
  EXPECT_EQ(text.find("the-token"), text.npos) << text;
  status_ = 500;
  EXPECT_EQ(code_of(get()), EAGAIN);
}

TEST_F(Sso, WhatTheProfileLacksIsTold) {
  const std::string session = "[sso-session s]\nsso_region=r\nsso_start_url=u\n";
  for (const auto& [config, missing] : std::map<std::string, std::string>{
           {"[default]\nsso_session=other\n", "sso-session other"},
           {"[default]\nsso_session=s\nsso_role_name=r\n" + session, "sso_account_id"},
           {"[default]\nsso_session=s\nsso_account_id=1\n" + session, "sso_role_name"},
           {"[default]\nsso_session=s\n[sso-session s]\nsso_start_url=u\n", "sso_region"},
           {"[default]\nsso_region=r\nsso_account_id=1\nsso_role_name=r\n", "sso_start_url"}}) {
    machine_.write(".aws/config", config);
    const auto refused = get();
    EXPECT_EQ(code_of(refused), EINVAL) << config;
    EXPECT_NE(refused.error().message.find(missing), std::string::npos) << refused.error().message;
  }
}

TEST(SsoAnswer, WithoutKeysThatExpireIsAnError) {
  for (const char* json :
       {"", "[]", "{}", R"({"roleCredentials":1})", R"({"roleCredentials":{"accessKeyId":"k"}})",
        R"({"roleCredentials":{"accessKeyId":"k","secretAccessKey":"s","sessionToken":"t"}})"}) {
    EXPECT_EQ(code_of(parse_sso_credentials(json)), EIO) << json;
  }
}

}  // namespace
}  // namespace cider::object::s3
