#include "cli/settings.h"

#include <charconv>
#include <cmath>

#include "base/units.h"
#include "base/url.h"
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

  // Says that it was given, not what it is or was; whoever renews a token means to, though it be the same.
  bool set_secret(std::string_view option, std::string* field) {
    if (!given(option)) return false;
    changes_->lines.push_back(std::string(option) + ": updated");
    *field = arguments_.text(option);
    return true;
  }

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

std::string show_mbps(int64_t mbps) {
  return mbps == 0 ? "none" : std::to_string(mbps) + " Mbps";
}

// Who may use the storage, and what new objects are like.
bool apply_storage(const Arguments& arguments, Setter& setter, meta::Volume* volume) {
  bool changed = false;
  if (setter.given("storage")) changed |= setter.set("storage", &volume->storage, arguments.text("storage"));
  if (setter.given("bucket")) {
    std::string bucket = absolute_bucket(volume->storage, arguments.text("bucket"));
    changed |= setter.set("bucket", &volume->bucket, bucket, without_password);
  }
  if (setter.given("access-key")) {
    changed |= setter.set("access-key", &volume->access_key, arguments.text("access-key"));
  }
  changed |= setter.set_secret("secret-key", &volume->secret_key);
  changed |= setter.set_secret("session-token", &volume->session_token);
  meta::Tier& tier = volume->tiers[0];
  if (setter.given("storage-class")) {
    changed |= setter.set("storage-class", &tier.storage_class, arguments.text("storage-class"));
  }
  if (setter.given("tag")) changed |= setter.set("tag", &tier.tag, arguments.text("tag"));
  return changed;
}

Status apply_limits(const Arguments& arguments, Setter& setter, meta::Volume* volume) {
  if (setter.given("upload-limit")) {
    int64_t limit = TRY(parse_mbps("upload-limit", arguments.text("upload-limit")));
    setter.set("upload-limit", &volume->upload_limit, limit, show_mbps);
  }
  if (setter.given("download-limit")) {
    int64_t limit = TRY(parse_mbps("download-limit", arguments.text("download-limit")));
    setter.set("download-limit", &volume->download_limit, limit, show_mbps);
  }
  return {};
}

}  // namespace

Result<int64_t> parse_mbps(std::string_view option, const std::string& text) {
  if (text.empty()) return 0;
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  double unit = 1;
  if (error == std::errc() && end + 1 == text.data() + text.size()) {
    const size_t place = std::string_view("MGTP").find(static_cast<char>(std::toupper(*end++)));
    unit = place == std::string_view::npos ? 0 : std::pow(1000, place);
  }
  value *= unit;
  const bool valid =
      error == std::errc() && end == text.data() + text.size() && unit > 0 && value >= 0 && value < 1e15;
  if (valid) return static_cast<int64_t>(value);
  return fail(EINVAL,
              "--" + std::string(option) + ": \"" + text + "\" is not a rate; write Mbps, like 100 or 1.5G");
}

Status check_tag(const std::string& tag) {
  const size_t equals = tag.find('=');
  const bool valid = equals != tag.npos && equals > 0 && equals + 1 < tag.size() && tag.rfind('=') == equals;
  if (tag.empty() || valid) return {};
  return fail(EINVAL, "--tag: \"" + tag + "\" is not a tag; write it like KEY=VALUE");
}

void seal_secrets(meta::Volume* volume) {
  const bool has_secret =
      !volume->secret_key.empty() || !volume->session_token.empty() || !volume->encrypt_key.empty();
  volume->key_encrypted = volume->key_encrypted || has_secret;
}

Status check_settings(const Arguments& arguments) {
  if (arguments.is_set("storage")) TRY(object::check_storage(arguments.text("storage")));
  if (arguments.is_set("tag")) TRY(check_tag(arguments.text("tag")));
  for (const char* limit : {"upload-limit", "download-limit"}) {
    if (arguments.is_set(limit)) TRY(parse_mbps(limit, arguments.text(limit)));
  }
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

  changes.storage = apply_storage(arguments, setter, volume);
  TRY(apply_limits(arguments, setter, volume));
  if (setter.given("encrypt-secret") && arguments.flag("encrypt-secret")) {
    const bool before = volume->key_encrypted;
    seal_secrets(volume);
    if (!before && volume->key_encrypted)
      changes.lines.push_back("encrypt-secret: the secrets are sealed now");
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
