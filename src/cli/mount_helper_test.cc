#include "cli/mount_helper.h"

#include <gtest/gtest.h>

namespace cider::cli {
namespace {

using Words = std::vector<std::string>;

Result<Words> translate(const Words& words) {
  return translate_helper_words(words, /*as_root=*/false);
}

TEST(MountHelper, KnowsItsName) {
  EXPECT_TRUE(is_mount_helper("/sbin/mount.ciderfs"));
  EXPECT_TRUE(is_mount_helper("mount.ciderfs"));
  EXPECT_FALSE(is_mount_helper("/usr/bin/ciderfs"));
}

TEST(MountHelper, SortsTheWordsOfMount8) {
  EXPECT_EQ(*translate({"sqlite3:///m.db", "/mnt", "-o", "rw,_netdev,buffer-size=500M,read-only,suid"}),
            (Words{"mount", "-d", "sqlite3:///m.db", "/mnt", "--buffer-size=500M", "--read-only", "-o",
                   "rw,_netdev,suid"}));
  EXPECT_EQ(*translate({"-n", "-s", "-r", "u", "/m"}), (Words{"mount", "-d", "u", "/m", "--read-only"}));
  EXPECT_EQ(*translate({"u", "/m", "-t", "ciderfs", "-v"}), (Words{"mount", "-d", "u", "/m", "--verbose"}));
}

TEST(MountHelper, RootsDefaultsAreThoseOfMount8) {
  EXPECT_EQ(translate_helper_words({"u", "/m", "-o", "rw,nodev"}, true)->back(), "suid,dev,rw,nodev");
}

// So that the command refuses it and says why.
TEST(MountHelper, PassesOnOptionsThatAreNotSupported) {
  EXPECT_EQ(*translate({"u", "/m", "-o", "cache-dir=/c"}),
            (Words{"mount", "-d", "u", "/m", "--cache-dir=/c"}));
}

TEST(MountHelper, DoesNothingForAFakeMount) {
  EXPECT_TRUE(translate({"-f", "u", "/m"})->empty());
}

TEST(MountHelper, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(code_of(translate({"u", "/m", "--wrong"})), EINVAL);
  EXPECT_EQ(code_of(translate({"u"})), EINVAL);
  EXPECT_EQ(code_of(translate({"u", "/m", "-o"})), EINVAL);
}

}  // namespace
}  // namespace cider::cli
