// `ciderfs config`: shows or changes a volume's setting.
#include "base/log.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/volume_access.h"
#include "meta/model/client_version.h"
#include "meta/model/session.h"

namespace cider::cli {
namespace {

constexpr std::string_view kStorageGroup = "DATA STORAGE";
constexpr std::string_view kManagementGroup = "MANAGEMENT";

constexpr Option kOptions[] = {
    {.name = "yes", .alias = "y", .help = "answer every question with yes"},
    {.name = "force", .help = "change without any check"},
    {.name = "storage", .type = OptionType::text, .group = kStorageGroup, .help = "kind of object storage"},
    {.name = "bucket",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "where the data is; must hold it already, as objects are not moved"},
    {.name = "access-key",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "who we are to the storage"},
    {.name = "secret-key",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "and the secret that proves it"},
    {.name = "session-token",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "of keys for a while; mounts use the new one from their next heartbeat on"},
    {.name = "storage-class",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "class of new objects, of storages that have classes"},
    {.name = "tag",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "KEY=VALUE that new objects are tagged with"},
    {.name = "upload-limit",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "Mbps that each client uploads with, at most (1.5G is 1500); 0: no limit"},
    {.name = "download-limit",
     .type = OptionType::text,
     .group = kStorageGroup,
     .help = "Mbps that each client downloads with, at most; 0: no limit"},
    {.name = "capacity",
     .type = OptionType::size,
     .unit = 'G',
     .group = kManagementGroup,
     .help = "limit of the space used, in GiB; 0: none"},
    {.name = "inodes",
     .type = OptionType::integer,
     .group = kManagementGroup,
     .help = "limit of the number of files and directories; 0: none"},
    {.name = "trash-days",
     .type = OptionType::integer,
     .group = kManagementGroup,
     .help = "days that removed files stay in the trash; 0: no trash"},
    {.name = "enable-acl", .group = kManagementGroup, .help = "POSIX ACLs; can't be turned off again"},
    {.name = "encrypt-secret",
     .group = kManagementGroup,
     .help = "seal the secrets of a volume that holds them as plain text"},
    {.name = "min-client-version",
     .type = OptionType::text,
     .group = kManagementGroup,
     .help = "lowest client, as a JuiceFS version, that may use the volume"},
    {.name = "max-client-version",
     .type = OptionType::text,
     .group = kManagementGroup,
     .help = "highest client, as a JuiceFS version, that may use the volume"},
    {.name = "dir-stats",
     .group = kManagementGroup,
     .help = "keep statistics of each directory (--dir-stats=false: don't)"},
};

constexpr UnsupportedOption kUnsupported[] = {
    {.name = "ranger-rest-url", .harmless = "-", .advice = "there is no Hadoop client yet"},
    {.name = "ranger-service", .harmless = "-", .advice = "there is no Hadoop client yet"},
    {.name = "kerberos-config-file", .harmless = "-", .advice = "there is no Hadoop client yet"},
    {.name = "user-group-quota",
     .takes_value = false,
     .advice = "quotas of users and groups are not there yet"},
    {.name = "changelog", .takes_value = false, .advice = "the changelog is not there yet"},
    {.name = "changelog-max-age", .advice = "the changelog is not there yet"},
    {.name = "changelog-max-lines", .advice = "the changelog is not there yet"},
    {.name = "tier", .harmless = "0", .advice = "storage tiers are not there yet"},
};

Status ask(const Arguments& arguments) {
  if (arguments.flag("yes") || confirm("Go on?")) return {};
  return fail(ECANCELED, "nothing was changed (--yes answers yes)");
}

// Data is not moved: is it where the volume shall look for it, and does the storage work?
Status check_storage(const Arguments& arguments, const meta::Volume& volume) {
  auto objects = TRY(open_objects(volume));
  if (Status marked = check_mark(*objects, volume); !marked) {
    if (marked.error().code != ENOENT && marked.error().code != EINVAL) return marked;
    warn(marked.error().to_string());
    TRY(ask(arguments));
    TRY(objects->create());
  }
  return test_objects(*objects);
}

// Who would be shut out by the versions wanted?
Status check_clients(const Arguments& arguments, meta::Store& store, const meta::Volume& volume) {
  bool found = false;
  if (Status own = meta::check_client_version(volume); !own) {
    warn(own.error().to_string());
    found = true;
  }
  std::optional<meta::ClientVersion> lowest = meta::parse_client_version(volume.min_client_version);
  std::optional<meta::ClientVersion> highest = meta::parse_client_version(volume.max_client_version);
  for (const meta::SessionRecord& session : TRY(sessions_of_others(store))) {
    Result<meta::SessionInfo> info = meta::decode_session_info(session.info);
    std::optional<meta::ClientVersion> version =
        info ? meta::parse_client_version(info->version) : std::nullopt;
    if (!version || ((!lowest || *version >= *lowest) && (!highest || *version <= *highest))) continue;
    warn("the client of version " + info->version + " on " + info->host_name + ", process " +
         std::to_string(info->process_id) + ", will be shut out");
    found = true;
  }
  return found ? ask(arguments) : Status{};
}

Status check_limits(const Arguments& arguments, const meta::Volume& volume, meta::Store& store) {
  int64_t space = TRY(store.counter(meta::Counter::used_space));
  int64_t inodes = TRY(store.counter(meta::Counter::total_inodes));
  bool too_small = (volume.capacity != 0 && space >= 0 && static_cast<uint64_t>(space) >= volume.capacity) ||
                   (volume.inodes != 0 && inodes >= 0 && static_cast<uint64_t>(inodes) >= volume.inodes);
  if (!too_small) return {};
  warn("the volume is at the new limit already: it uses " + std::to_string(space) + " bytes and " +
       std::to_string(inodes) + " inodes");
  return ask(arguments);
}

Status check(const Arguments& arguments) {
  TRY(check_meta_url(arguments[0]));
  return check_settings(arguments);
}

Result<int> run(const Arguments& arguments) {
  OpenedVolume opened = TRY(open_volume(arguments[0], Access::read_write));
  if (!arguments.any_set()) {
    print_line(printable_setting(opened.volume));
    return 0;
  }
  meta::Volume changed = opened.volume;
  SettingChanges changes = TRY(apply_settings(arguments, &changed));
  if (changes.empty()) {
    print_line("Nothing changed.");
    return 0;
  }
  if (!arguments.flag("force")) {
    if (changes.storage) TRY(check_storage(arguments, changed));
    if (changes.limits) TRY(check_limits(arguments, changed, *opened.store));
    if (changes.trash_off) {
      warn("the trash will be emptied, and files removed from now on are gone at once");
      TRY(ask(arguments));
    }
    if (changes.client_versions) TRY(check_clients(arguments, *opened.store, changed));
  }
  TRY(opened.store->save_setting(TRY(meta::encode_volume(changed))));
  for (const std::string& line : changes.lines) print_line(line);
  return 0;
}

}  // namespace

const Command kConfigCommand = {
    .name = "config",
    .category = "ADMIN",
    .usage = "META-URL",
    .summary = "Show or change a volume's setting",
    .description =
        R"(Changes the settings that are given; without any, prints all. Mounts take changes over with their next heartbeat.

Examples:
  ciderfs config sqlite3://photos.db
  ciderfs config sqlite3://photos.db --trash-days 7 --capacity 1000)",
    .options = kOptions,
    .unsupported = kUnsupported,
    .min_arguments = 1,
    .max_arguments = 1,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
