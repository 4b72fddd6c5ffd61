#include "cli/settings.h"

#include <gtest/gtest.h>

#include "cli/commands.h"

namespace cider::cli {
namespace {

meta::Volume a_volume() {
  meta::Volume volume;
  volume.name = "vol";
  volume.storage = "file";
  volume.bucket = "/data/";
  volume.trash_days = 1;
  volume.min_client_version = "1.1.0-A";
  return volume;
}

Result<SettingChanges> apply(std::vector<std::string> words, meta::Volume* volume) {
  words.insert(words.begin(), "memory://");
  Result<Arguments> arguments = parse_arguments(kConfigCommand, words);
  if (!arguments) return fail(std::move(arguments).error());
  TRY(check_settings(*arguments));
  return apply_settings(*arguments, volume);
}

TEST(Settings, ChangesWhatIsGivenAndTellsIt) {
  meta::Volume volume = a_volume();
  SettingChanges changes = *apply({"--capacity", "10", "--inodes", "100000", "--trash-days", "7"}, &volume);
  EXPECT_EQ(changes.lines, (std::vector<std::string>{"capacity: 0 B -> 10 GiB", "inodes: 0 -> 100,000",
                                                     "trash-days: 1 -> 7"}));
  EXPECT_EQ(volume.capacity, 10ull << 30);
  EXPECT_EQ(volume.inodes, 100'000u);
  EXPECT_EQ(volume.trash_days, 7);
  EXPECT_TRUE(changes.limits);
  EXPECT_FALSE(changes.trash_off);
}

TEST(Settings, TheSameValueIsNoChange) {
  meta::Volume volume = a_volume();
  EXPECT_TRUE(apply({"--trash-days", "1", "--bucket", "/data"}, &volume)->empty());
}

TEST(Settings, AclsRaiseTheLowestClientAndStay) {
  meta::Volume volume = a_volume();
  SettingChanges changes = *apply({"--enable-acl"}, &volume);
  EXPECT_TRUE(volume.enable_acl);
  EXPECT_EQ(volume.min_client_version, "1.2.0-A");
  EXPECT_TRUE(changes.client_versions);
  EXPECT_EQ(code_of(apply({"--enable-acl=false"}, &volume)), EINVAL);
}

TEST(Settings, TheLowestClientCanOnlyRise) {
  meta::Volume volume = a_volume();
  EXPECT_EQ(code_of(apply({"--min-client-version", "1.0.0"}, &volume)), EINVAL);
  EXPECT_EQ(code_of(apply({"--min-client-version", "new"}, &volume)), EINVAL);
  ASSERT_TRUE(apply({"--min-client-version", "1.3.0"}, &volume));
  EXPECT_EQ(volume.min_client_version, "1.3.0");
}

TEST(Settings, EmptyingTheTrashIsNoted) {
  meta::Volume volume = a_volume();
  EXPECT_TRUE(apply({"--trash-days", "0"}, &volume)->trash_off);
  EXPECT_EQ(code_of(apply({"--trash-days", "-1"}, &volume)), EINVAL);
}

TEST(Settings, KeysAreTakenOverButNotTold) {
  meta::Volume volume = a_volume();
  SettingChanges changes =
      *apply({"--access-key", "AK", "--secret-key", "s3cret", "--session-token", "t0ken"}, &volume);
  EXPECT_EQ(changes.lines, (std::vector<std::string>{"access-key: \"\" -> AK", "secret-key: updated",
                                                     "session-token: updated"}));
  EXPECT_TRUE(changes.storage);
  EXPECT_EQ(volume.secret_key, "s3cret");
  EXPECT_EQ(volume.session_token, "t0ken");
  changes = *apply({"--bucket", "redis://:pw@host/1", "--storage", "redis"}, &volume);
  for (const std::string& line : changes.lines) EXPECT_EQ(line.find("pw"), std::string::npos) << line;
}

TEST(Settings, SecretsAreSealedWhenAskedFor) {
  meta::Volume volume = a_volume();
  EXPECT_TRUE(apply({"--encrypt-secret"}, &volume)->empty());  // there is none
  EXPECT_FALSE(volume.key_encrypted);
  volume.secret_key = "s3cret";
  EXPECT_FALSE(apply({"--encrypt-secret"}, &volume)->empty());
  EXPECT_TRUE(volume.key_encrypted);
  volume.uuid = "e94d66a8-2339-4abd-b8d8-6812df737892";
  EXPECT_EQ(meta::encode_volume(volume)->find("s3cret"), std::string::npos);
}

TEST(Settings, ClassAndTagAreThoseOfTierZero) {
  meta::Volume volume = a_volume();
  ASSERT_TRUE(apply({"--storage-class", "STANDARD_IA", "--tag", "team=a"}, &volume));
  EXPECT_EQ(volume.tiers[0].storage_class, "STANDARD_IA");
  EXPECT_EQ(volume.tiers[0].tag, "team=a");
  EXPECT_EQ(volume.min_client_version, "1.4.0-A");
  for (const char* tag : {"team", "=a", "team=", "a=b=c"})
    EXPECT_EQ(code_of(apply({"--tag", tag}, &volume)), EINVAL);
}

TEST(Settings, LimitsAreRates) {
  meta::Volume volume = a_volume();
  SettingChanges changes = *apply({"--upload-limit", "1.5G", "--download-limit", "200"}, &volume);
  EXPECT_EQ(changes.lines, (std::vector<std::string>{"upload-limit: none -> 1500 Mbps",
                                                     "download-limit: none -> 200 Mbps"}));
  EXPECT_EQ(*parse_mbps("x", "2t"), 2'000'000);
  EXPECT_EQ(*parse_mbps("x", ""), 0);
  for (const char* bad : {"-1", "x", "1K", "1MB", "1e30", "nan"})
    EXPECT_EQ(code_of(parse_mbps("x", bad)), EINVAL) << bad;
}

}  // namespace
}  // namespace cider::cli
