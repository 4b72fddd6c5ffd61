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

TEST(MountOptions, PackingIsOnUnlessSwitchedOff) {
  EXPECT_TRUE(plan({})->data.packing);
  EXPECT_TRUE(plan({"--pack", "on"})->data.packing);
  EXPECT_FALSE(plan({"--pack=off"})->data.packing);
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
  EXPECT_FALSE(p.fuse.io_uring);
  EXPECT_TRUE(plan({"-o", "io_uring"})->fuse.io_uring);
}

TEST(MountOptions, RefusesValuesOutOfRange) {
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"--atime-mode", "sometimes"},
                                                        {"--heartbeat", "10ms"},
                                                        {"--buffer-size", "1M"},
                                                        {"--max-uploads", "0"},
                                                        {"--pack", "maybe"},
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

TEST(MountOptions, CacheDefaultsAreJuiceFSs) {
  const CachePlan cache = plan({})->cache;
  EXPECT_EQ(cache.options.dirs, expand_fallback("~CACHE"));
  EXPECT_EQ(cache.options.size, uint64_t{100} << 30);
  EXPECT_EQ(cache.options.free_ratio, 0.1);
  EXPECT_EQ(cache.options.mode, 0600u);
  EXPECT_EQ(cache.options.verify, chunk::Verify::extend);
  EXPECT_EQ(cache.options.eviction, chunk::Eviction::two_random);
  EXPECT_EQ(cache.options.scan_interval, 1h);
  EXPECT_FALSE(cache.writeback);
  EXPECT_EQ(cache.staging.max_writers, 1000);
}

TEST(MountOptions, CacheOptions) {
  const CachePlan cache =
      plan({"--cache-dir", "/a:/b", "--cache-size", "10", "--verify-cache-checksum", "shrink",
            "--cache-eviction", "lru", "--cache-mode", "0644", "--writeback", "--upload-delay", "1m",
            "--upload-hours", "22-6", "--writeback-threshold-size", "1M"})
          ->cache;
  EXPECT_EQ(cache.options.dirs, "/a:/b");
  EXPECT_EQ(cache.options.size, 10u << 20);
  EXPECT_EQ(cache.options.mode, 0644u);
  EXPECT_EQ(cache.options.verify, chunk::Verify::shrink);
  EXPECT_EQ(cache.options.eviction, chunk::Eviction::lru);
  EXPECT_TRUE(cache.writeback);
  EXPECT_EQ(cache.staging.delay, 60s);
  EXPECT_EQ(cache.staging.hours.begin, 22);
  EXPECT_EQ(cache.staging.hours.end, 6);
  EXPECT_EQ(cache.staging.threshold, 1u << 20);
  EXPECT_EQ(plan({"--cache-dir", "memory"})->cache.options.size, 100u << 20);
  EXPECT_EQ(plan({"--cache-dir", "memory", "--cache-size", "1G"})->cache.options.size, 1u << 30);
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

TEST(MountOptions, RefusesCacheOptionsThatAreWrong) {
  for (const auto& options :
       std::vector<std::vector<std::string>>{{"--verify-cache-checksum", "some"},
                                             {"--cache-eviction", "fifo"},
                                             {"--cache-mode", "9"},
                                             {"--cache-mode", "0400"},
                                             {"--free-space-ratio", "1"},
                                             {"--free-space-ratio", "-0.1"},
                                             {"--free-space-ratio", "much"},
                                             {"--cache-items", "-1"},
                                             {"--cache-dir", ""},
                                             {"--upload-hours", "5", "--writeback"},
                                             {"--upload-hours", "5,6"},
                                             {"--upload-delay", "5s"},
                                             {"--writeback", "--cache-size", "0"},
                                             {"--writeback", "--cache-dir", "memory"}}) {
    EXPECT_EQ(code_of(plan(options)), EINVAL) << options[0] << " " << options[1];
  }
}

TEST(MountOptions, RefusesACacheInTheMountItself) {
  const auto plan_at = [](const std::string& cache) {
    return plan_mount(*parse_arguments(kMountCommand, {"memory://", "/tmp", "--cache-dir", cache}));
  };
  EXPECT_EQ(code_of(plan_at("/tmp")), EINVAL);
  EXPECT_EQ(code_of(plan_at("/var:/tmp/a/b")), EINVAL);
  EXPECT_TRUE(plan_at("/tmpfoo"));
}

}  // namespace
}  // namespace cider::cli
