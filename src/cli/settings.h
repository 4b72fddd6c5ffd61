// Changing the setting of a volume that exists: what `config` and a second `format` have in common.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "meta/model/volume.h"

namespace cider::cli {

struct SettingChanges {
  std::vector<std::string> lines;  // "trash-days: 3 -> 7"
  bool storage = false;            // where or how objects are reached
  bool limits = false;             // capacity or inodes
  bool trash_off = false;          // the trash will be emptied
  bool client_versions = false;    // clients may be shut out
  bool empty() const { return lines.empty(); }
};

// Mbps of "100", "1.5G" (also M, T, P), as JuiceFS takes them; 0 of the empty text. EINVAL names `option`.
Result<int64_t> parse_mbps(std::string_view option, const std::string& text);

// EINVAL unless it is empty or KEY=VALUE.
Status check_tag(const std::string& tag);

// Seals the volume's secrets from now on, if it has any.
void seal_secrets(meta::Volume* volume);

// Whether the values given make sense, for whatever volume.
Status check_settings(const Arguments& arguments);

// Applies the options that were given to `volume`. Options that the command doesn't declare are skipped.
// EINVAL for what can't be: a lower min-client-version, ACLs off again.
Result<SettingChanges> apply_settings(const Arguments& arguments, meta::Volume* volume);

}  // namespace cider::cli
