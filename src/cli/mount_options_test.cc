#include "cli/mount_options.h"

#include <gtest/gtest.h>

#include "cli/commands.h"

namespace cider::cli {
namespace {

using namespace std::chrono_literals;

Result<MountPlan> plan(std::vector<std::string> options) {
  options.insert(options.begin(), {"memory://", "/"});
  Result<Arguments> arguments = parse_arguments(kMountCommand, options);
  if (!arguments) return fail(std::move(arguments).error());
  return plan_mount(*arguments);
}

TEST(MountOptions, Defaults) {
  MountPlan p = *plan({});
  EXPECT_EQ(p.mount_point, "/");
  EXPECT_EQ(p.buffer_size, 300u << 20);
  EXPECT_EQ(p.vfs.attr_ttl, 1s);
  EXPECT_EQ(p.vfs.negative_ttl, 0s);
  EXPECT_EQ(p.meta.heartbeat, 12s);
  EXPECT_EQ(p.meta.skip_dir_mtime, 0ms);
  EXPECT_EQ(p.meta.max_deletes, 10);
  EXPECT_TRUE(p.meta.background_jobs);
  EXPECT_FALSE(p.meta.read_only);
  EXPECT_FALSE(p.fuse.xattr);
  EXPECT_EQ(p.fuse.max_write, 1u << 20);
}

TEST(MountOptions, ReadOnlyComesByOptionOrByMountWord) {
  EXPECT_TRUE(plan({"--read-only"})->meta.read_only);
  EXPECT_TRUE(plan({"-o", "ro"})->meta.read_only);
}

TEST(MountOptions, Accounts) {
  MountPlan p = *plan({"--root-squash", "1000:100", "--all-squash", "7"});
  EXPECT_EQ(p.vfs.root_squash->uid, 1000u);
  EXPECT_EQ(p.vfs.root_squash->gid, 100u);
  EXPECT_EQ(p.vfs.all_squash->uid, 7u);
  EXPECT_EQ(p.vfs.all_squash->gid, 65534u);
  for (const char* text : {"x", "1:", ":1", "1:x", "-1:1", "1:1:1"})
    EXPECT_EQ(code_of(plan({"--root-squash", text})), EINVAL) << text;
}

TEST(MountOptions, Umask) {
  EXPECT_EQ(*plan({"--umask", "022"})->vfs.umask, 022);
  for (const char* text : {"8", "1000", "-1", "22x"})
    EXPECT_EQ(code_of(plan({"--umask", text})), EINVAL) << text;
}

TEST(MountOptions, WritebackCacheIsAMountWord) {
  MountPlan p = *plan({"-o", "writeback_cache,suid"});
  EXPECT_TRUE(p.fuse.writeback_cache);
  EXPECT_TRUE(p.vfs.writeback_cache);
}

TEST(MountOptions, RefusesValuesOutOfRange) {
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"--atime-mode", "sometimes"},
                                                        {"--heartbeat", "10ms"},
                                                        {"--buffer-size", "1M"},
                                                        {"--max-uploads", "0"},
                                                        {"--max-deletes", "-1"},
                                                        {"--max-fuse-io", "2M"},
                                                        {"--max-fuse-io", "100"},
                                                        {"--io-retries", "0"},
                                                        {"--subdir", "a/../.."},
                                                        {"--storage", "s4"},
                                                        {"-o", "nonsense"}}) {
    EXPECT_EQ(code_of(plan({option, value})), EINVAL) << option << " " << value;
  }
}

TEST(MountOptions, CacheOptionsSayThatThereIsNoDiskCache) {
  Result<MountPlan> refused = plan({"--cache-dir", "/var/cache"});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("there is no disk cache yet"), std::string::npos);
  EXPECT_TRUE(plan({"--cache-size", "0", "--backup-meta", "0", "--no-usage-report", "--metrics", ""}));
}

TEST(MountOptions, Storage) {
  MountPlan p = *plan({});
  EXPECT_EQ(p.objects.timeouts.get, 60s);
  EXPECT_EQ(p.objects.upload_limit, 0);
  EXPECT_FALSE(p.objects.bucket);
  p = *plan({"--upload-limit", "100", "--get-timeout", "5", "--put-timeout", "500ms", "--bucket",
             "https://b.example"});
  EXPECT_EQ(p.objects.upload_limit, 100);
  EXPECT_EQ(p.objects.timeouts.get, 5s);
  EXPECT_EQ(p.objects.timeouts.put, 500ms);
  EXPECT_EQ(p.objects.bucket, "https://b.example");
  EXPECT_EQ(plan({"--bucket", "/data"})->objects.bucket, "/data/");
  EXPECT_EQ(code_of(plan({"--get-timeout", "0"})), EINVAL);
  EXPECT_EQ(code_of(plan({"--storage", "gs"})), EINVAL);
}

}  // namespace
}  // namespace cider::cli
