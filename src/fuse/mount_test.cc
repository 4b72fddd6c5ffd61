#include "fuse/mount.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuse/fusermount.h"

namespace cider::fuse {
namespace {

TEST(MountWords, BecomeFlags) {
  auto parsed = parse_mount_words(
      {"ro", "nosuid", "suid", "nodev", "noatime", "relatime", "allow_other", "max_read=65536"});
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->flags, MS_RDONLY | MS_NODEV | MS_RELATIME);
  EXPECT_TRUE(parsed->allow_other);
  EXPECT_EQ(parsed->max_read, 65536U);
}

TEST(MountWords, FusermountGetsThoseItKnows) {
  auto parsed = parse_mount_words({"nosuid", "lazytime", "strictatime", "dirsync"});
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->flags, MS_NOSUID | MS_LAZYTIME | MS_STRICTATIME | MS_DIRSYNC);
  EXPECT_EQ(parsed->words, (std::vector<std::string>{"nosuid", "dirsync"}));
}

TEST(MountWords, RemountSaysWhatToDo) {
  auto parsed = parse_mount_words({"user_id=0", "remount", "ro"});
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ENOTSUP);
  EXPECT_NE(parsed.error().message.find("unmount it"), std::string::npos);
}

TEST(MountWords, ForOthersMeanNothing) {
  auto parsed = parse_mount_words({"defaults", "noauto", "_netdev", "x-systemd.automount"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->flags, 0U);
  EXPECT_TRUE(parsed->words.empty());
}

TEST(MountWords, UnknownIsAnErrorThatNamesIt) {
  auto parsed = parse_mount_words({"ro", "fast"});
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, EINVAL);
  EXPECT_NE(parsed.error().message.find("\"fast\""), std::string::npos);
  EXPECT_FALSE(parse_mount_words({"max_read=1M"}));
  EXPECT_FALSE(parse_mount_words({"max_read="}));
  EXPECT_FALSE(parse_mount_words({""}));
}

TEST(Mount, BadMountpoints) {
  std::filesystem::path dir =
      std::filesystem::temp_directory_path() / ("cider-mount-" + std::to_string(::getpid()));
  std::filesystem::create_directory(dir);
  auto missing = mount({.mountpoint = dir / "none", .source = "x", .flags = {}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ENOENT);
  std::ofstream(dir / "file") << "x";
  EXPECT_EQ(mount({.mountpoint = dir / "file", .source = "x", .flags = {}}).error().code, ENOTDIR);
  EXPECT_EQ(mount({.mountpoint = dir, .source = "x", .flags = {}}).error().code, ENOTEMPTY);
  EXPECT_FALSE(unmount(dir, false));
  std::filesystem::remove_all(dir);
}

TEST(Mount, IsFoundInMountinfo) {
  std::string info =
      "22 27 0:21 / /proc rw,nosuid - proc proc rw\n"
      "40 27 0:50 / /mnt/my\\040disk rw - fuse.ciderfs CiderFS:a rw\n"
      "41 40 0:51 / /mnt/my\\040disk rw shared:1 master:2 - fuse.ciderfs CiderFS:b rw\n"
      "broken\n";
  EXPECT_EQ(find_mount(info, "/mnt/my disk")->device, "0:51");
  EXPECT_EQ(find_mount(info, "/mnt/my disk")->type, "fuse.ciderfs");
  EXPECT_EQ(find_mount(info, "/mnt").error().code, ENOENT);
}

TEST(Mount, CommasInTheSourceAreEscaped) {
  EXPECT_EQ(escape_option("CiderFS:a,b\\c"), "CiderFS:a\\,b\\\\c");
}

}  // namespace
}  // namespace cider::fuse
