#include "cli/cache_plan.h"

#include <charconv>
#include <filesystem>

namespace cider::cli {
namespace {

using chunk::CacheOptions;
using std::chrono::duration_cast;
using std::chrono::seconds;

// What a cache in memory has where --cache-size isn't given; also what stands in for disks that fail.
constexpr uint64_t kMemorySize = 100 << 20;

std::unexpected<Error> bad(std::string_view option, const std::string& value, std::string_view wanted) {
  return fail(EINVAL,
              "option --" + std::string(option) + ": \"" + value + "\" is not " + std::string(wanted));
}

Result<int64_t> not_negative(const Arguments& arguments, std::string_view option) {
  const int64_t value = arguments.integer(option);
  if (value < 0) return bad(option, std::to_string(value), "0 or more");
  return value;
}

Result<unsigned> mode_of(const std::string& text) {
  unsigned mode = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777 || (mode & 0600) != 0600)
    return bad("cache-mode", text, "an octal number that lets the owner read and write, like 0600");
  return mode;
}

Result<double> ratio_of(const std::string& text) {
  double ratio = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ratio);
  if (error != std::errc() || end != text.data() + text.size() || !(ratio >= 0 && ratio < 1))
    return bad("free-space-ratio", text, "a number from 0 to less than 1, like 0.1");
  return ratio;
}

// Absolute, without symbolic links as far as it is there.
std::string real(const std::string& path) {
  std::error_code error;
  std::filesystem::path resolved = std::filesystem::weakly_canonical(path, error);
  return error ? path : resolved.string();
}

// A daemon leaves the current directory.
Result<std::string> absolute_dirs(const std::string& dirs, const std::string& mount_point) {
  std::string absolute;
  for (const std::string& dir : chunk::expand_cache_dirs(dirs)) {
    const std::string path = real(dir);
    if (mount_point != "/" && (path + "/").starts_with(mount_point + "/"))
      return bad("cache-dir", dir, "outside of the mount, which it would wait for");
    if (path.find(':') != std::string::npos) return bad("cache-dir", dir, "a path without ':'");
    absolute += (absolute.empty() ? "" : ":") + path;
  }
  if (absolute.empty()) return bad("cache-dir", dirs, "a folder, or a pattern that folders match");
  return absolute;
}

Status plan_writeback(const Arguments& arguments, CachePlan* plan) {
  plan->writeback = arguments.flag("writeback");
  plan->staging.spill = arguments.flag("spill");
  if (plan->staging.spill && (plan->options.size == 0 || plan->options.in_memory()))
    return fail(EINVAL, "option --spill needs a cache on a disk: --cache-size, --cache-dir");
  if (!plan->writeback) {
    for (std::string_view option : {"writeback-threshold-size", "writeback-max-size", "writeback-max-age",
                                    "upload-delay", "upload-hours"}) {
      const bool harmless =
          !arguments.is_set(option) || (option == "upload-hours" && arguments.text(option).empty());
      if (!harmless) return fail(EINVAL, "option --" + std::string(option) + " needs --writeback");
    }
    return {};
  }
  if (plan->options.size == 0) return fail(EINVAL, "option --writeback needs a cache: --cache-size is 0");
  if (plan->options.in_memory())
    return fail(EINVAL, "option --writeback needs a cache on a disk: --cache-dir is \"memory\"");
  chunk::StagingOptions& staging = plan->staging;
  staging.threshold = arguments.size("writeback-threshold-size");
  staging.max_bytes = arguments.size("writeback-max-size");
  staging.max_age = duration_cast<seconds>(arguments.duration("writeback-max-age"));
  staging.delay = duration_cast<seconds>(arguments.duration("upload-delay"));
  staging.max_writers = static_cast<int>(TRY(not_negative(arguments, "max-stage-write")));
  const std::string& hours = arguments.text("upload-hours");
  Result<chunk::UploadHours> parsed = chunk::parse_upload_hours(hours);
  if (!parsed) return bad("upload-hours", hours, "two hours from 0 to 23, like 22,6");
  staging.hours = *parsed;
  return {};
}

}  // namespace

Status plan_cache(const Arguments& arguments, const std::string& mount_point, CachePlan* plan) {
  CacheOptions& cache = plan->options;
  cache.dirs = arguments.text("cache-dir");
  cache.size = arguments.size("cache-size");
  if (cache.in_memory()) {
    if (!arguments.is_set("cache-size")) cache.size = kMemorySize;
  } else if (cache.size > 0) {
    cache.dirs = TRY(absolute_dirs(cache.dirs, mount_point));
  }
  cache.items = static_cast<uint64_t>(TRY(not_negative(arguments, "cache-items")));
  cache.free_ratio = TRY(ratio_of(arguments.text("free-space-ratio")));
  cache.mode = TRY(mode_of(arguments.text("cache-mode")));
  cache.partial_only = arguments.flag("cache-partial-only");
  cache.large_write = arguments.flag("cache-large-write");
  plan->encrypt = arguments.flag("encrypt-cache");
  Result<chunk::Verify> verify = chunk::parse_verify(arguments.text("verify-cache-checksum"));
  if (!verify)
    return bad("verify-cache-checksum", arguments.text("verify-cache-checksum"),
               "none, full, shrink or extend");
  cache.verify = *verify;
  Result<chunk::Eviction> eviction = chunk::parse_eviction(arguments.text("cache-eviction"));
  if (!eviction) return bad("cache-eviction", arguments.text("cache-eviction"), "2-random, lru or none");
  cache.eviction = *eviction;
  cache.scan_interval = duration_cast<seconds>(arguments.duration("cache-scan-interval"));
  cache.expire = duration_cast<seconds>(arguments.duration("cache-expire"));
  plan->staging.uploads = static_cast<int>(arguments.integer("max-uploads"));
  return plan_writeback(arguments, plan);
}

}  // namespace cider::cli
