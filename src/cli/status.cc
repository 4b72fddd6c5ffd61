// `ciderfs status`: a volume's setting, sessions and usage, as JSON.
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "cli/volume_access.h"
#include "meta/model/rfc3339.h"

namespace cider::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr Option kOptions[] = {
    {.name = "session",
     .alias = "s",
     .type = OptionType::integer,
     .fallback = "0",
     .help = "show one session: its locks, and the files it holds open that have been removed"},
};

constexpr UnsupportedOption kUnsupported[] = {
    {.name = "more",
     .takes_value = false,
     .advice = "statistics of the trash and of deleted data are not there yet"},
    {.name = "m",
     .takes_value = false,
     .advice = "statistics of the trash and of deleted data are not there yet"},
};

Json session_json(const meta::SessionRecord& session) {
  Json json = {{"Sid", session.sid}, {"Expire", meta::format_rfc3339(Time{session.expire, 0})}};
  Json info = Json::parse(session.info, nullptr, /*allow_exceptions=*/false);
  if (info.is_object()) json.update(info);
  return json;
}

Json locks_json(const std::vector<meta::RecordLockOwner>& owners, bool flocks) {
  Json list = Json::array();
  for (const meta::RecordLockOwner& owner : owners) {
    if (owner.is_flock != flocks) continue;
    Json lock = {{"Inode", owner.ino}, {"Owner", owner.holder.owner}};
    if (flocks) {
      lock["Ltype"] = owner.kind == meta::LockKind::write ? "W" : "R";
    } else {
      for (const meta::PlockRange& range : owner.ranges) {
        lock["Records"].push_back({{"Type", static_cast<int>(range.kind)},
                                   {"Pid", range.pid},
                                   {"Start", range.start},
                                   {"End", range.end}});
      }
    }
    list.push_back(std::move(lock));
  }
  return list;
}

Result<Json> session_details(meta::Store& store, uint64_t sid) {
  for (const meta::SessionRecord& session : TRY(store.list_sessions())) {
    if (session.sid != sid) continue;
    Json json = session_json(session);
    std::vector<Ino> sustained = TRY(store.sustained_inodes(sid));
    if (!sustained.empty()) json["Sustained"] = sustained;
    std::vector<meta::RecordLockOwner> locks = TRY(store.session_locks(sid));
    if (Json list = locks_json(locks, true); !list.empty()) json["Flocks"] = std::move(list);
    if (Json list = locks_json(locks, false); !list.empty()) json["Plocks"] = std::move(list);
    return json;
  }
  return fail(ENOENT, "there is no session " + std::to_string(sid));
}

Result<Json> volume_status(OpenedVolume opened) {
  Json sessions = Json::array();
  for (const meta::SessionRecord& session : TRY(opened.store->list_sessions()))
    sessions.push_back(session_json(session));
  Json setting = Json::parse(printable_setting(opened.volume), nullptr, /*allow_exceptions=*/false);
  meta::Meta meta(std::move(opened.store), std::move(opened.volume), {.read_only = true, .session = {}});
  Result<meta::VolumeUsage> usage = meta.usage();
  meta.stop();
  if (!usage) return fail(std::move(usage).error());
  return Json{{"Setting", std::move(setting)},
              {"Sessions", std::move(sessions)},
              {"Stat",
               {{"UsedSpace", usage->total_space - usage->available_space},
                {"AvailableSpace", usage->available_space},
                {"UsedInodes", usage->used_inodes},
                {"AvailableInodes", usage->available_inodes}}}};
}

Status check(const Arguments& arguments) {
  if (arguments.integer("session") < 0) return fail(EINVAL, "--session needs the number of a session");
  return check_meta_url(arguments[0]);
}

Result<int> run(const Arguments& arguments) {
  const int64_t sid = arguments.integer("session");
  OpenedVolume opened = TRY(open_volume(arguments[0], Access::read_only));
  Json json = sid != 0 ? TRY(session_details(*opened.store, static_cast<uint64_t>(sid)))
                       : TRY(volume_status(std::move(opened)));
  print_line(json.dump(2, ' ', false, Json::error_handler_t::replace));
  return 0;
}

}  // namespace

const Command kStatusCommand = {
    .name = "status",
    .category = "INSPECTOR",
    .usage = "META-URL",
    .summary = "Show a volume's setting, sessions and usage",
    .description = R"(Read-only mounts register no session, so they are not in the list.

Examples:
  ciderfs status sqlite3://photos.db
  ciderfs status sqlite3://photos.db --session 3)",
    .options = kOptions,
    .unsupported = kUnsupported,
    .min_arguments = 1,
    .max_arguments = 1,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
