#include "cli/settings.h"

#include "base/units.h"
#include "cli/volume_access.h"
#include "meta/model/client_version.h"
#include "object/object_store.h"

namespace cider::cli {
namespace {

// Sets one field and notes it, if it is another value.
class Setter {
 public:
  Setter(const Arguments& arguments, SettingChanges* changes) : arguments_(arguments), changes_(changes) {}

  bool given(std::string_view option) const { return arguments_.is_set(option); }

  template <class T, class Show>
  bool set(std::string_view option, T* field, T value, Show&& show) {
    if (*field == value) return false;
    changes_->lines.push_back(std::string(option) + ": " + show(*field) + " -> " + show(value));
    *field = std::move(value);
    return true;
  }
  bool set(std::string_view option, std::string* field, const std::string& value) {
    return set(option, field, std::string(value),
               [](const std::string& text) { return text.empty() ? "\"\"" : text; });
  }
  bool set(std::string_view option, bool* field, bool value) {
    return set(option, field, value, [](bool on) { return std::string(on ? "true" : "false"); });
  }

 private:
  const Arguments& arguments_;
  SettingChanges* changes_;
};

}  // namespace

Status check_settings(const Arguments& arguments) {
  if (arguments.is_set("storage")) TRY(object::check_storage(arguments.text("storage")));
  if (arguments.is_set("inodes") && arguments.integer("inodes") < 0) {
    return fail(EINVAL, "--inodes can't be negative; 0 means no limit");
  }
  if (arguments.is_set("trash-days") &&
      (arguments.integer("trash-days") < 0 || arguments.integer("trash-days") > 100'000)) {
    return fail(EINVAL, "--trash-days must be from 0 to 100000");
  }
  for (const char* limit : {"min-client-version", "max-client-version"}) {
    if (arguments.is_set(limit) && !meta::parse_client_version(arguments.text(limit))) {
      return fail(EINVAL, "--" + std::string(limit) + ": \"" + arguments.text(limit) +
                              "\" is not a version; write it like 1.2.0");
    }
  }
  return {};
}

Result<SettingChanges> apply_settings(const Arguments& arguments, meta::Volume* volume) {
  SettingChanges changes;
  Setter setter(arguments, &changes);

  if (setter.given("storage"))
    changes.storage |= setter.set("storage", &volume->storage, arguments.text("storage"));
  if (setter.given("bucket")) {
    std::string bucket = absolute_bucket(volume->storage, arguments.text("bucket"));
    changes.storage |= setter.set("bucket", &volume->bucket, bucket);
  }
  if (setter.given("capacity")) {
    changes.limits |= setter.set("capacity", &volume->capacity, arguments.size("capacity"), short_size);
  }
  if (setter.given("inodes")) {
    changes.limits |=
        setter.set("inodes", &volume->inodes, static_cast<uint64_t>(arguments.integer("inodes")), grouped);
  }
  if (setter.given("trash-days")) {
    const auto days = static_cast<int>(arguments.integer("trash-days"));
    bool changed =
        setter.set("trash-days", &volume->trash_days, days, [](int n) { return std::to_string(n); });
    changes.trash_off = changed && days == 0;
  }
  if (setter.given("dir-stats")) setter.set("dir-stats", &volume->dir_stats, arguments.flag("dir-stats"));
  if (setter.given("enable-acl")) {
    if (volume->enable_acl && !arguments.flag("enable-acl")) {
      return fail(EINVAL, "POSIX ACLs can't be turned off again: files may carry some");
    }
    setter.set("enable-acl", &volume->enable_acl, arguments.flag("enable-acl"));
  }
  if (setter.given("max-client-version")) {
    changes.client_versions |=
        setter.set("max-client-version", &volume->max_client_version, arguments.text("max-client-version"));
  }

  std::string needed = meta::later_version(volume->min_client_version, meta::needed_client_version(*volume));
  if (setter.given("min-client-version")) {
    const std::string& wanted = arguments.text("min-client-version");
    if (meta::later_version(needed, wanted) != wanted) {
      return fail(EINVAL, "min-client-version can't be lowered from " + needed + " to " + wanted);
    }
    needed = wanted;
  }
  changes.client_versions |= setter.set("min-client-version", &volume->min_client_version, needed);
  return changes;
}

}  // namespace cider::cli
