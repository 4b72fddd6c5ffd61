#include "cli/mount_options.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/units.h"
#include "base/version.h"
#include "cli/cache_plan.h"
#include "cli/settings.h"
#include "cli/volume_access.h"
#include "object/object_store.h"

namespace cider::cli {
namespace {

using std::chrono::duration_cast;

constexpr std::string_view kFuse = "FUSE";
constexpr std::string_view kMeta = "META";
constexpr std::string_view kCache = "META CACHE";
constexpr std::string_view kStorage = "DATA STORAGE";
constexpr std::string_view kData = "DATA";
constexpr std::string_view kBlocks = "DATA CACHE";
constexpr std::string_view kWriteback = "WRITE-BACK";
constexpr OptionType kText = OptionType::text;
constexpr OptionType kInteger = OptionType::integer;
constexpr OptionType kSize = OptionType::size;
constexpr OptionType kDuration = OptionType::duration;

constexpr Option kOptions[] = {
    {.name = "background", .alias = "d", .help = "run in the background; returns when the mount answers"},
    {.name = "foreground",
     .alias = "f",
     .help = "run in the foreground, which is the default",
     .hidden = true},
    {.name = "log", .type = kText, .fallback = "~LOG", .help = "log file, when in the background"},
    {.name = "no-syslog", .help = "don't log to syslog too, when in the background"},
    {.name = "access-log", .type = kText, .help = "append a line for each operation to this file"},
    {.name = "force", .help = "mount over another mount"},
    {.name = "hide-internal", .help = "don't list .accesslog, .stats and the other internal files"},
    {.name = "disable-transparent-hugepage", .help = "no transparent huge pages for this process"},
    {.name = "no-usage-report", .help = "accepted: CiderFS reports to nobody"},

    {.name = "o",
     .type = kText,
     .group = kFuse,
     .help = "mount(8) options, separated by commas: allow_other, suid, dev, ro, noatime, nonempty, "
             "writeback_cache, io_uring ..."},
    {.name = "enable-xattr", .group = kFuse, .help = "extended attributes"},
    {.name = "enable-cap", .group = kFuse, .help = "the extended attribute security.capability"},
    {.name = "enable-selinux", .group = kFuse, .help = "the extended attribute security.selinux"},
    {.name = "enable-ioctl", .group = kFuse, .help = "lsattr and chattr, for the flags i and a"},
    {.name = "root-squash", .type = kText, .group = kFuse, .help = "the local root acts as this UID[:GID]"},
    {.name = "all-squash", .type = kText, .group = kFuse, .help = "everybody acts as this UID[:GID]"},
    {.name = "prefix-internal", .group = kFuse, .help = "call the internal files .jfs.stats and so on"},
    {.name = "max-fuse-io",
     .type = kSize,
     .unit = 'B',
     .fallback = "1M",
     .group = kFuse,
     .help = "largest read or write between kernel and client, in bytes"},
    {.name = "umask",
     .type = kText,
     .group = kFuse,
     .help = "octal umask, instead of the one of whoever creates a file"},

    {.name = "subdir",
     .type = kText,
     .group = kMeta,
     .help = "mount this directory of the volume; made if it isn't there"},
    {.name = "read-only", .group = kMeta, .help = "change nothing, register no session"},
    {.name = "heartbeat",
     .type = kDuration,
     .fallback = "12s",
     .group = kMeta,
     .help = "how often the session is renewed; the same for all clients of a volume"},
    {.name = "no-bgjob",
     .group = kMeta,
     .help = "leave cleaning up (trash, deleted files, dead sessions) to others"},
    {.name = "atime-mode",
     .type = kText,
     .fallback = "noatime",
     .group = kMeta,
     .help = "noatime, relatime or strictatime"},
    {.name = "skip-dir-mtime",
     .type = kDuration,
     .fallback = "0s",
     .group = kMeta,
     .help = "don't move a directory's times again within this time"},

    {.name = "attr-cache",
     .type = kDuration,
     .fallback = "1.0s",
     .group = kCache,
     .help = "how long the kernel keeps attributes"},
    {.name = "entry-cache",
     .type = kDuration,
     .fallback = "1.0s",
     .group = kCache,
     .help = "how long it keeps names of files"},
    {.name = "dir-entry-cache",
     .type = kDuration,
     .fallback = "1.0s",
     .group = kCache,
     .help = "how long it keeps names of directories"},
    {.name = "negative-entry-cache",
     .type = kDuration,
     .fallback = "0s",
     .group = kCache,
     .help = "how long it remembers that a name is absent"},
    {.name = "readdir-cache", .group = kCache, .help = "let it keep listings, as long as attributes"},

    {.name = "storage",
     .type = kText,
     .group = kStorage,
     .help = "reach the objects by this storage instead of the volume's"},
    {.name = "bucket",
     .type = kText,
     .group = kStorage,
     .help = "reach the objects here instead of at the volume's bucket"},
    {.name = "storage-class",
     .type = kText,
     .group = kStorage,
     .help = "store new objects in this class instead of the volume's"},
    {.name = "tag",
     .type = kText,
     .group = kStorage,
     .help = "KEY=VALUE that new objects are tagged with instead of the volume's"},
    {.name = "get-timeout",
     .type = kDuration,
     .fallback = "60s",
     .group = kStorage,
     .help = "how long a try to read an object may take"},
    {.name = "put-timeout",
     .type = kDuration,
     .fallback = "60s",
     .group = kStorage,
     .help = "how long a try to write an object may take"},
    {.name = "upload-limit",
     .type = kText,
     .fallback = "0",
     .group = kStorage,
     .help = "Mbps that this mount uploads with, at most (1.5G is 1500); 0: the volume's limit"},
    {.name = "download-limit",
     .type = kText,
     .fallback = "0",
     .group = kStorage,
     .help = "Mbps that it downloads with, at most; 0: the volume's limit"},
    {.name = "check-storage", .group = kStorage, .help = "write, read and delete an object before mounting"},
    {.name = "io-retries",
     .type = kInteger,
     .fallback = "10",
     .group = kStorage,
     .help = "tries to read an object; writing one is tried until it works"},
    {.name = "flush-timeout",
     .type = kDuration,
     .fallback = "5m",
     .group = kStorage,
     .help = "close() and fsync() fail with EIO when data could not be stored for this long; it is kept and "
             "tried further"},
    {.name = "max-uploads",
     .type = kInteger,
     .fallback = "20",
     .group = kStorage,
     .help = "objects in upload at once"},
    {.name = "pack",
     .type = kText,
     .fallback = "on",
     .group = kStorage,
     .help = "small files written at the same time share objects: on or off; see docs/packing.md"},
    {.name = "max-downloads",
     .type = kInteger,
     .fallback = "200",
     .group = kStorage,
     .help = "objects in download at once"},
    {.name = "max-deletes",
     .type = kInteger,
     .fallback = "10",
     .group = kStorage,
     .help = "threads that delete objects; 0: leave it to others"},

    {.name = "buffer-size",
     .type = kSize,
     .unit = 'M',
     .fallback = "300M",
     .group = kData,
     .help = "limit of all file data in memory and of what requests to the store hold, in MiB"},
    {.name = "max-readahead",
     .type = kSize,
     .unit = 'M',
     .fallback = "32M",
     .group = kData,
     .help = "how far to read ahead per stream, in MiB"},
    {.name = "prefetch",
     .type = kInteger,
     .fallback = "1",
     .group = kData,
     .help = "blocks that are read at random and fetched whole for the cache at once; 0: none"},

    {.name = "cache-dir",
     .type = kText,
     .fallback = "~CACHE",
     .group = kBlocks,
     .help = "folders for cached blocks, separated by colons, * and ? allowed; or \"memory\""},
    {.name = "cache-size",
     .type = kSize,
     .unit = 'M',
     .fallback = "100G",
     .group = kBlocks,
     .help = "size of the cache, in MiB, shared equally by its folders; 0: no cache"},
    {.name = "cache-items",
     .type = kInteger,
     .fallback = "0",
     .group = kBlocks,
     .help = "most blocks in the cache; 0: as many as fit"},
    {.name = "free-space-ratio",
     .type = kText,
     .fallback = "0.1",
     .group = kBlocks,
     .help = "part of the disk, and of its inodes, that stays free"},
    {.name = "cache-mode",
     .type = kText,
     .fallback = "0600",
     .group = kBlocks,
     .help = "permissions of cached blocks, octal"},
    {.name = "encrypt-cache",
     .group = kBlocks,
     .help = "cached and staged blocks are encrypted on the disk; for encrypted volumes; see docs/cache.md"},
    {.name = "cache-partial-only",
     .group = kBlocks,
     .help = "cache blocks of the full size only where they are read in small pieces"},
    {.name = "cache-large-write", .group = kBlocks, .help = "cache blocks of the full size that are written"},
    {.name = "verify-cache-checksum",
     .type = kText,
     .fallback = "extend",
     .group = kBlocks,
     .help =
         "none, full (whole blocks), shrink (32 KiB units within a read) or extend (units a read touches)"},
    {.name = "cache-eviction",
     .type = kText,
     .fallback = "2-random",
     .group = kBlocks,
     .help = "2-random, lru (the oldest of 16) or none (a full cache takes nothing)"},
    {.name = "cache-scan-interval",
     .type = kDuration,
     .fallback = "1h",
     .group = kBlocks,
     .help = "how often the folders are looked through for what others did; 0: at the start only"},
    {.name = "cache-expire",
     .type = kDuration,
     .fallback = "0s",
     .group = kBlocks,
     .help = "remove blocks that were not used for this long; 0: never"},

    {.name = "writeback",
     .group = kWriteback,
     .help = "blocks are safe once they are on the cache's disk, and uploaded later"},
    {.name = "spill",
     .group = kWriteback,
     .help = "blocks that the store does not take are safe once they are on the cache's disk, as with "
             "--writeback, and uploaded when it is back"},
    {.name = "writeback-threshold-size",
     .type = kSize,
     .unit = 'B',
     .fallback = "0",
     .group = kWriteback,
     .help = "upload blocks of this size and larger at once; 0: none"},
    {.name = "writeback-max-size",
     .type = kSize,
     .unit = 'M',
     .fallback = "0",
     .group = kWriteback,
     .help =
         "while this much waits, in MiB, blocks are uploaded at once; 0: until the disk is short of space"},
    {.name = "writeback-max-age",
     .type = kDuration,
     .fallback = "0s",
     .group = kWriteback,
     .help = "while a block has waited longer, blocks are uploaded at once; 0: no limit"},
    {.name = "upload-delay",
     .type = kDuration,
     .fallback = "0s",
     .group = kWriteback,
     .help = "how long a block waits at least"},
    {.name = "upload-hours",
     .type = kText,
     .group = kWriteback,
     .help = "hours of the day in which to upload, \"begin,end\" like 22,6"},
    {.name = "max-stage-write",
     .type = kInteger,
     .fallback = "1000",
     .group = kWriteback,
     .help = "blocks being written to the cache's disk at once; more are uploaded; 0: no limit"},
};

constexpr UnsupportedOption kUnsupported[] = {
    {.name = "open-cache",
     .harmless = "0|0s|0.0s",
     .advice = "open() always asks the metadata engine; leave it out"},
    {.name = "open-cache-limit", .advice = "open() always asks the metadata engine; leave it out"},
    {.name = "backup-meta",
     .harmless = "0|0s|0h",
     .advice = "automatic metadata backups are not there yet; use 0"},
    {.name = "backup-skip-trash",
     .takes_value = false,
     .advice = "automatic metadata backups are not there yet"},
    {.name = "skip-dir-nlink", .harmless = "0", .advice = "no engine of this version needs it; leave it out"},
    {.name = "sort-dir", .takes_value = false, .advice = "listings are streamed; sort them with ls or sort"},
    {.name = "fast-statfs", .takes_value = false, .advice = "leave it out"},
    {.name = "network-interfaces", .harmless = "-", .advice = "the addresses of all interfaces are recorded"},
    {.name = "metrics",
     .harmless = "-",
     .advice = "metrics are in the file .stats of the mount; leave it out"},
    {.name = "custom-labels",
     .harmless = "-",
     .advice = "metrics are in the file .stats of the mount; leave it out"},
    {.name = "consul",
     .harmless = "-",
     .advice = "metrics are in the file .stats of the mount; leave it out"},
    {.name = "update-fstab",
     .takes_value = false,
     .advice = "add the line to /etc/fstab by hand; see README.md"},
    {.name = "non-default-permission", .takes_value = false, .advice = "the kernel checks permissions"},
};

std::unexpected<Error> bad(std::string_view option, const std::string& value, std::string_view wanted) {
  return fail(EINVAL,
              "option --" + std::string(option) + ": \"" + value + "\" is not " + std::string(wanted));
}

Result<int> count(const Arguments& arguments, std::string_view option, int least, int most) {
  int64_t value = arguments.integer(option);
  if (value >= least && value <= most) return static_cast<int>(value);
  return bad(option, std::to_string(value), "from " + std::to_string(least) + " to " + std::to_string(most));
}

Result<uint64_t> bytes(const Arguments& arguments, std::string_view option, uint64_t least, uint64_t most) {
  uint64_t value = arguments.size(option);
  if (value >= least && value <= most) return value;
  return bad(option, short_size(value), "from " + short_size(least) + " to " + short_size(most));
}

// "1000" or "1000:100".
Result<std::optional<vfs::Account>> account(const Arguments& arguments, std::string_view option) {
  const std::string& text = arguments.text(option);
  if (text.empty()) return std::nullopt;
  vfs::Account account;
  size_t colon = std::min(text.find(':'), text.size());
  auto parse = [](std::string_view digits, uint32_t* id) {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *id);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  bool valid = parse(std::string_view(text).substr(0, colon), &account.uid) &&
               (colon == text.size() || parse(std::string_view(text).substr(colon + 1), &account.gid));
  if (!valid) return bad(option, text, "UID or UID:GID, both as numbers");
  return account;
}

Result<std::optional<uint16_t>> umask_of(const Arguments& arguments) {
  const std::string& text = arguments.text("umask");
  if (text.empty()) return std::nullopt;
  uint16_t mask = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mask, 8);
  if (error != std::errc() || end != text.data() + text.size() || mask > 0777) {
    return bad("umask", text, "an octal number up to 777, like 022");
  }
  return mask;
}

Result<meta::AtimeMode> atime_mode(const std::string& text) {
  if (text == "noatime") return meta::AtimeMode::noatime;
  if (text == "relatime") return meta::AtimeMode::relatime;
  if (text == "strictatime") return meta::AtimeMode::strictatime;
  return bad("atime-mode", text, "noatime, relatime or strictatime");
}

// Absolute and without symbolic links, as /proc/mounts shows it; as far as it can be looked at, since its
// last part may be missing or a dead mount.
std::string real_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path real = std::filesystem::canonical(path, error);
  if (!error) return real;
  std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return path;
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // "/a/b/" is "/a/b"
  real = std::filesystem::canonical(absolute.parent_path(), error);
  return error ? absolute : real / absolute.filename();
}

Status plan_kernel_side(const Arguments& arguments, MountPlan* plan) {
  // Without suid and dev unless asked for, as FUSE mounts of users always are.
  std::vector<std::string> words = {"nosuid", "nodev"};
  for (std::string& word : arguments.list("o")) words.push_back(std::move(word));
  if (std::erase(words, "writeback_cache") > 0) plan->fuse.writeback_cache = plan->vfs.writeback_cache = true;
  plan->fuse.io_uring = std::erase(words, "io_uring") > 0;
  if (plan->meta.read_only) words.emplace_back("ro");
  plan->flags = TRY(fuse::parse_mount_words(words));
  if (std::find(words.begin(), words.end(), "ro") != words.end()) plan->meta.read_only = true;
  if (::geteuid() == 0) plan->flags.allow_other = true;
  if (arguments.flag("force")) plan->flags.nonempty = true;
  plan->fuse.max_write =
      static_cast<uint32_t>(TRY(bytes(arguments, "max-fuse-io", 4096, 1 << 20)) & ~uint64_t{4095});
  plan->fuse.xattr =
      arguments.flag("enable-xattr") || arguments.flag("enable-cap") || arguments.flag("enable-selinux");
  return {};
}

Status plan_files(const Arguments& arguments, MountPlan* plan) {
  vfs::VfsOptions& vfs = plan->vfs;
  vfs.attr_ttl = arguments.duration("attr-cache");
  vfs.entry_ttl = arguments.duration("entry-cache");
  vfs.dir_entry_ttl = arguments.duration("dir-entry-cache");
  vfs.negative_ttl = arguments.duration("negative-entry-cache");
  vfs.readdir_cache = arguments.flag("readdir-cache");
  vfs.enable_xattr = arguments.flag("enable-xattr");
  vfs.enable_cap = plan->meta.file_capabilities = arguments.flag("enable-cap");
  vfs.enable_selinux = arguments.flag("enable-selinux");
  vfs.enable_ioctl = arguments.flag("enable-ioctl");
  vfs.hide_internal = arguments.flag("hide-internal");
  vfs.prefix_internal = arguments.flag("prefix-internal");
  vfs.umask = TRY(umask_of(arguments));
  vfs.root_squash = TRY(account(arguments, "root-squash"));
  vfs.all_squash = TRY(account(arguments, "all-squash"));
  vfs.access_log = arguments.text("access-log").empty() ? "" : real_path(arguments.text("access-log"));
  vfs.version = client_version();
  vfs.mount_point = plan->mount_point;
  vfs.subdir = plan->subdir;
  vfs.buffer_size = plan->buffer_size;
  return {};
}

Status plan_metadata(const Arguments& arguments, MountPlan* plan) {
  meta::MetaOptions& meta = plan->meta;
  meta.read_only = arguments.flag("read-only");
  meta.atime = TRY(atime_mode(arguments.text("atime-mode")));
  meta.skip_dir_mtime = duration_cast<std::chrono::milliseconds>(arguments.duration("skip-dir-mtime"));
  meta.heartbeat = duration_cast<std::chrono::seconds>(arguments.duration("heartbeat"));
  if (meta.heartbeat < std::chrono::seconds(1)) return fail(EINVAL, "option --heartbeat: must be 1s or more");
  meta.background_jobs = !arguments.flag("no-bgjob");
  meta.max_deletes = TRY(count(arguments, "max-deletes", 0, 1000));
  return {};
}

Result<bool> on_or_off(const Arguments& arguments, std::string_view option) {
  const std::string value = arguments.text(option);
  if (value != "on" && value != "off") return bad(option, value, "on or off");
  return value == "on";
}

Status plan_data(const Arguments& arguments, MountPlan* plan) {
  plan->buffer_size = TRY(bytes(arguments, "buffer-size", 32 << 20, uint64_t{1} << 40));
  plan->data.flush_timeout = duration_cast<std::chrono::seconds>(arguments.duration("flush-timeout"));
  if (plan->data.flush_timeout < std::chrono::seconds(1))
    return fail(EINVAL, "option --flush-timeout: must be 1s or more");
  plan->data.max_uploads = TRY(count(arguments, "max-uploads", 1, 10'000));
  plan->data.packing = TRY(on_or_off(arguments, "pack"));
  plan->data.max_downloads = TRY(count(arguments, "max-downloads", 1, 10'000));
  plan->data.max_readahead = TRY(bytes(arguments, "max-readahead", 0, uint64_t{1} << 40));
  plan->data.io_retries = TRY(count(arguments, "io-retries", 1, 1000));
  plan->data.prefetch = TRY(count(arguments, "prefetch", 0, 1000));
  return {};
}

Result<Millis> timeout(const Arguments& arguments, std::string_view option) {
  const auto limit = duration_cast<Millis>(arguments.duration(option));
  if (limit >= Millis(1)) return limit;
  return fail(EINVAL, "option --" + std::string(option) + ": must be more than 0");
}

Result<ObjectOptions> plan_objects(const Arguments& arguments) {
  ObjectOptions options;
  const auto given = [&](std::string_view option) -> std::optional<std::string> {
    if (!arguments.is_set(option)) return std::nullopt;
    return arguments.text(option);
  };
  options.storage = given("storage");
  options.bucket = given("bucket");
  options.storage_class = given("storage-class");
  options.tag = given("tag");
  if (options.storage) TRY(object::check_storage(*options.storage));
  // Relative to here: the daemon leaves this directory. The volume's own storage is not known yet.
  if (options.bucket && (!options.storage || *options.storage == "file")) {
    if (options.bucket->find(':') == std::string::npos) {
      options.bucket = absolute_bucket("file", *options.bucket);
    }
  } else if (options.bucket) {
    options.bucket = absolute_bucket(*options.storage, *options.bucket);
  }
  if (options.tag) TRY(check_tag(*options.tag));
  options.upload_limit = TRY(parse_mbps("upload-limit", arguments.text("upload-limit")));
  options.download_limit = TRY(parse_mbps("download-limit", arguments.text("download-limit")));
  options.timeouts.get = TRY(timeout(arguments, "get-timeout"));
  options.timeouts.put = TRY(timeout(arguments, "put-timeout"));
  return options;
}

}  // namespace

std::span<const Option> mount_options() {
  return kOptions;
}
std::span<const UnsupportedOption> unsupported_mount_options() {
  return kUnsupported;
}

Result<MountPlan> plan_mount(const Arguments& arguments) {
  MountPlan plan;
  plan.meta_url = absolute_meta_url(arguments[0]);
  plan.mount_point = real_path(arguments[1]);
  plan.subdir = arguments.text("subdir");
  for (const auto& part : std::filesystem::path(plan.subdir)) {
    if (part == "..") return bad("subdir", plan.subdir, "a path without \"..\"");
  }
  plan.objects = TRY(plan_objects(arguments));
  plan.check_storage = arguments.flag("check-storage");
  TRY(plan_metadata(arguments, &plan));
  TRY(plan_data(arguments, &plan));
  TRY(plan_cache(arguments, plan.mount_point, &plan.cache));
  TRY(plan_kernel_side(arguments, &plan));
  TRY(plan_files(arguments, &plan));
  TRY(check_meta_url(arguments[0]));  // last: of a remount, mount(8) may only know the name in /proc/mounts
  return plan;
}

}  // namespace cider::cli
