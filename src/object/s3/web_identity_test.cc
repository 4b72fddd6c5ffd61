#include "object/s3/web_identity.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "object/s3/sigv4.h"
#include "object/s3/sts.h"
#include "object/testing/aws_machine.h"
#include "object/testing/fake_http.h"

namespace cider::object::s3 {
namespace {

using object::testing::answer;
using object::testing::FakeHttp;
using object::testing::HttpAnswer;
using object::testing::HttpAsked;
using object::testing::kInAnHour;

constexpr const char* kToken = "eyJhbGci.secret-token.c2ln";
constexpr const char* kRole = "arn:aws:iam::123456789012:role/pod";
std::string keys_xml(const std::string& key, const std::string& expires) {
  return "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
         "<AssumeRoleWithWebIdentityResult><Audience>sts.amazonaws.com</Audience><Credentials>"
         "<SessionToken>st</SessionToken><SecretAccessKey>sk</SecretAccessKey><Expiration>" +
         expires + "</Expiration><AccessKeyId>" + key +
         "</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>"
         "</AssumeRoleWithWebIdentityResponse>";
}

HttpAnswer refuse(int status, const std::string& code, const std::string& message) {
  return answer(
      status,
      "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"
      "<Code>" +
          code + "</Code><Message>" + message + "</Message></Error></ErrorResponse>");
}

// A pod: its variables, its token's file.
class WebIdentity : public ::testing::Test {
 protected:
  WebIdentity() {
    write_token(std::string(kToken) + "\n");
    variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = token_file_;
    variables_["AWS_ROLE_ARN"] = kRole;
  }

  void write_token(const std::string& token) const { machine_.write("token", token); }
  void sts_at(const FakeHttp& server) { variables_["AWS_ENDPOINT_URL_STS"] = server.url("/"); }
  CredentialSource source() const { return machine_.source(); }

  object::testing::AwsMachine machine_;
  std::map<std::string, std::string>& variables_ = machine_.variables;
  const std::string token_file_ = machine_.path("token");
};

TEST_F(WebIdentity, ChangesTheTokenForKeys) {
  FakeHttp server([](const HttpAsked&, int) { return answer(200, keys_xml("k", kInAnHour)); });
  sts_at(server);
  variables_["AWS_ROLE_SESSION_NAME"] = "my-pod";
  const auto keys = environment_web_identity(machine_.context());
  ASSERT_TRUE(keys && *keys) << keys.error().to_string();
  EXPECT_EQ((*keys)->access_key, "k");
  EXPECT_EQ((*keys)->secret_key, "sk");
  EXPECT_EQ((*keys)->session_token, "st");
  EXPECT_EQ((*keys)->expires, 1'000'003'600);
  ASSERT_EQ(server.asked().size(), 1u);
  const HttpAsked asked = server.asked()[0];
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.target, "/");
  EXPECT_EQ(asked.header("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(asked.header("authorization"), "");
  EXPECT_EQ(asked.body, "Action=AssumeRoleWithWebIdentity&RoleArn=" + uri_encode(kRole, false) +
                            "&RoleSessionName=my-pod&Version=2011-06-15&WebIdentityToken=" + kToken);
}

TEST_F(WebIdentity, IsAskedAgainBeforeTheKeysExpireWithTheTokenOfThen) {
  bool broken = false;
  FakeHttp server([&](const HttpAsked&, int n) {
    return broken ? refuse(503, "ServiceUnavailable", "later")
                  : answer(200, keys_xml("key" + std::to_string(n), kInAnHour));
  });
  sts_at(server);
  CredentialSource source = this->source();
  EXPECT_EQ(source.get({})->access_key, "key0");
  machine_.clock.seconds += 3200;
  EXPECT_EQ(source.get({})->access_key, "key0");
  EXPECT_EQ(server.asked().size(), 1u);
  write_token("the-next-token");
  machine_.clock.seconds += 200;
  EXPECT_EQ(source.get({})->access_key, "key1");
  EXPECT_TRUE(server.asked()[1].body.ends_with("&WebIdentityToken=the-next-token"));
  broken = true;  // what holds is used on, until it doesn't
  EXPECT_EQ(source.get({})->access_key, "key1");
  machine_.clock.seconds += 200;
  EXPECT_EQ(code_of(source.get({})), EAGAIN);
}

TEST_F(WebIdentity, ComesAfterTheVariablesAndBeforeTheProfiles) {
  FakeHttp server([](const HttpAsked&, int) { return answer(200, keys_xml("web", kInAnHour)); });
  sts_at(server);
  variables_["AWS_SHARED_CREDENTIALS_FILE"] =
      machine_.write("keys", "[default]\naws_access_key_id=profile\naws_secret_access_key=s\n");
  EXPECT_EQ(source().get({})->access_key, "web");
  variables_["AWS_ACCESS_KEY_ID"] = "env";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(source().get({})->access_key, "env");
  variables_.erase("AWS_ACCESS_KEY_ID");
  variables_.erase("AWS_WEB_IDENTITY_TOKEN_FILE");  // a role alone asks for nothing
  EXPECT_EQ(source().get({})->access_key, "profile");
  EXPECT_EQ(server.asked().size(), 1u);
}

TEST_F(WebIdentity, ARefusalIsToldWithoutTheToken) {
  int status = 400;
  std::string code = "ValidationError";
  FakeHttp server([&](const HttpAsked&, int) {
    return refuse(status, code, std::string("Value '") + kToken + "' at 'webIdentityToken' is not valid");
  });
  sts_at(server);
  const auto refused = source().get({});
  EXPECT_EQ(code_of(refused), EACCES);
  const std::string text = refused.error().message;
  EXPECT_NE(text.find(std::string(kRole) + ": ValidationError (400): Value '(secret)' at"), text.npos)
      << text;
  EXPECT_EQ(text.find("secret-token"), text.npos) << text;
  code = "IDPCommunicationError";  // it may be reachable soon
  EXPECT_EQ(code_of(source().get({})), EAGAIN);
  status = 403;
  code = "AccessDenied";
  EXPECT_EQ(code_of(source().get({})), EACCES);
}

TEST_F(WebIdentity, WhatIsMissingIsTold) {
  write_token(" \n");
  EXPECT_EQ(code_of(source().get({})), EINVAL);
  std::filesystem::remove(token_file_);
  const auto missing = source().get({});
  EXPECT_EQ(code_of(missing), EACCES);  // of a request ENOENT would name an object
  EXPECT_NE(missing.error().message.find(token_file_), std::string::npos) << missing.error().message;
  variables_.erase("AWS_ROLE_ARN");
  const auto role = source().get({});
  EXPECT_EQ(code_of(role), EINVAL);
  EXPECT_NE(role.error().message.find("AWS_ROLE_ARN"), std::string::npos);
}

TEST_F(WebIdentity, NobodyAtTheEndpointIsAnError) {
  {
    FakeHttp server([](const HttpAsked&, int) { return answer(200, ""); });
    sts_at(server);
    EXPECT_EQ(code_of(source().get({})), EIO);
  }
  const auto nobody = source().get({});
  EXPECT_EQ(code_of(nobody), ECONNREFUSED);
  EXPECT_NE(nobody.error().message.find("STS"), std::string::npos);
}

TEST(WebIdentityAnswer, WithoutKeysThatExpireIsAnError) {
  for (const std::string& xml :
       {std::string(), std::string("{}"), std::string("<html/>"), keys_xml("", kInAnHour), keys_xml("k", ""),
        keys_xml("k", "soon"), std::string("<AssumeRoleWithWebIdentityResponse/>")}) {
    EXPECT_EQ(code_of(parse_sts_answer(xml, "AssumeRoleWithWebIdentity")), EIO) << xml;
  }
}

}  // namespace
}  // namespace cider::object::s3
