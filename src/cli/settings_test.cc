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

}  // namespace
}  // namespace cider::cli
