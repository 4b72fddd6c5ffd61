#include "cli/mount_helper.h"

#include <gtest/gtest.h>

namespace cider::cli {
namespace {

using Words = std::vector<std::string>;

TEST(MountHelper, KnowsItsName) {
  EXPECT_TRUE(is_mount_helper("/sbin/mount.ciderfs"));
  EXPECT_TRUE(is_mount_helper("mount.ciderfs"));
  EXPECT_FALSE(is_mount_helper("/usr/bin/ciderfs"));
}

TEST(MountHelper, SortsTheWordsOfMount8) {
  EXPECT_EQ(*translate_helper_words(
                {"sqlite3:///m.db", "/mnt", "-o", "rw,_netdev,buffer-size=500M,read-only,suid"}),
            (Words{"mount", "-d", "sqlite3:///m.db", "/mnt", "--buffer-size=500M", "--read-only", "-o",
                   "rw,_netdev,suid"}));
  EXPECT_EQ(*translate_helper_words({"-n", "-s", "-r", "u", "/m"}),
            (Words{"mount", "-d", "u", "/m", "--read-only"}));
  EXPECT_EQ(*translate_helper_words({"u", "/m", "-t", "ciderfs", "-v"}),
            (Words{"mount", "-d", "u", "/m", "--verbose"}));
}

// So that the command refuses it and says why.
TEST(MountHelper, PassesOnOptionsThatAreNotSupported) {
  EXPECT_EQ(*translate_helper_words({"u", "/m", "-o", "cache-dir=/c"}),
            (Words{"mount", "-d", "u", "/m", "--cache-dir=/c"}));
}

TEST(MountHelper, DoesNothingForAFakeMount) {
  EXPECT_TRUE(translate_helper_words({"-f", "u", "/m"})->empty());
}

TEST(MountHelper, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(code_of(translate_helper_words({"u", "/m", "--wrong"})), EINVAL);
  EXPECT_EQ(code_of(translate_helper_words({"u"})), EINVAL);
  EXPECT_EQ(code_of(translate_helper_words({"u", "/m", "-o"})), EINVAL);
}

}  // namespace
}  // namespace cider::cli
