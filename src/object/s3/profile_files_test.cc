#include "object/s3/profile_files.h"

#include <gtest/gtest.h>

namespace cider::object::s3 {
namespace {

std::string in_config(const std::string& config, const char* name, const std::string& profile = "default") {
  const auto section = ProfileFiles("", config).profile(profile);
  return section ? section->get(name) : "(no profile)";
}

TEST(ProfileFiles, Lines) {
  EXPECT_EQ(in_config("[default]\na = 1\n", "a"), "1");
  EXPECT_EQ(in_config("  # comment\n; too\n\n[ default ] # comment\r\nA=1\r\n", "a"), "1");
  EXPECT_EQ(in_config("[default]\na: x=y", "a"), "x=y");
  EXPECT_EQ(in_config("[default]\na = x#y;z # comment\n", "a"), "x#y;z");
  EXPECT_EQ(in_config("[default]\na = 'b c'\n", "a"), "b c");
  EXPECT_EQ(in_config("[default]\na = \"b' c\n", "a"), "\"b' c");
  EXPECT_EQ(in_config("a=0\n[default]\na=1\na=2\n[default]\nb=3\n", "a"), "2");
  EXPECT_EQ(in_config("a=0\n[default]\na=1\na=2\n[default]\nb=3\n", "b"), "3");
  EXPECT_EQ(in_config("[default]\ns3 =\n  a = nested\nb = 1\n  c = 2\n", "a"), "");
  EXPECT_EQ(in_config("[default]\ns3 =\n  a = nested\nb = 1\n  c = 2\n", "c"), "2");
  EXPECT_EQ(in_config("[default\na=1\n", "a"), "(no profile)");
}

TEST(ProfileFiles, WhichSectionsAreProfiles) {
  const std::string config =
      "[default]\na=d\n[profile  work]\na=w\n[bare]\na=b\n[profile default2]\na=2\n[sso-session work]\na=s\n";
  EXPECT_EQ(in_config(config, "a"), "d");
  EXPECT_EQ(in_config(config, "a", "work"), "w");
  EXPECT_EQ(in_config(config, "a", "bare"), "(no profile)");
  EXPECT_EQ(in_config(config + "[profile default]\na=p\n", "a"), "p");
  const ProfileFiles files("[bare]\na=1\n[profile other]\na=1\n", config);
  EXPECT_TRUE(files.profile("bare"));
  EXPECT_FALSE(files.profile("other"));
  EXPECT_EQ(files.sso_session("work")->get("a"), "s");
  EXPECT_FALSE(files.sso_session("bare"));
}

TEST(ProfileFiles, CredentialsCountBeforeConfigAndTheirKeysGoTogether) {
  const ProfileFiles files("[default]\naws_access_key_id=k\naws_secret_access_key=s\nb=1\n",
                           "[default]\naws_access_key_id=c\naws_secret_access_key=cs\n"
                           "aws_session_token=ct\na=2\nb=2\n");
  const auto profile = files.profile("default");
  EXPECT_EQ(profile->get("aws_access_key_id"), "k");
  EXPECT_EQ(profile->get("aws_secret_access_key"), "s");
  EXPECT_EQ(profile->get("aws_session_token"), "");
  EXPECT_EQ(profile->get("a"), "2");
  EXPECT_EQ(profile->get("b"), "1");
}

}  // namespace
}  // namespace cider::object::s3
