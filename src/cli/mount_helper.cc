#include "cli/mount_helper.h"

#include <algorithm>

#include "cli/mount_options.h"

namespace cider::cli {
namespace {

bool is_ours(std::string_view name) {
  // -o of the table itself, and -d and -f, mean something else among mount(8)'s words.
  if (name.size() == 1) return false;
  auto named = [&](const auto& option) { return option.name == name; };
  return std::any_of(mount_options().begin(), mount_options().end(), named) ||
         std::any_of(unsupported_mount_options().begin(), unsupported_mount_options().end(), named);
}

void sort_words(std::string_view text, std::vector<std::string>* ours, std::string* others) {
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view word = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (word.empty()) continue;
    if (is_ours(word.substr(0, word.find('=')))) {
      ours->push_back("--" + std::string(word));
    } else {
      *others += (others->empty() ? "" : ",") + std::string(word);
    }
  }
}

}  // namespace

bool is_mount_helper(const std::string& program) {
  std::string_view name = program;
  if (size_t slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  return name == "mount.ciderfs";
}

Result<std::vector<std::string>> translate_helper_words(const std::vector<std::string>& words, bool as_root) {
  std::vector<std::string> positional;
  std::vector<std::string> ours;
  std::string others = as_root ? "suid,dev" : "";
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-o" || word == "-t" || word == "-N") {
      if (++i == words.size()) return fail(EINVAL, "option " + word + " needs a value");
      if (word == "-N") return fail(ENOTSUP, "option -N (a mount namespace) is not supported; use nsenter");
      if (word == "-o") sort_words(words[i], &ours, &others);
    } else if (word == "-f") {
      return std::vector<std::string>{};
    } else if (word == "-r") {
      ours.emplace_back("--read-only");
    } else if (word == "-v") {
      ours.emplace_back("--verbose");
    } else if (word.starts_with("-o")) {
      sort_words(std::string_view(word).substr(2), &ours, &others);
    } else if (word == "-s" || word == "-n" || word == "-w") {
      // Sloppy, without mtab, read-write: nothing to do.
    } else if (word.starts_with('-')) {
      return fail(EINVAL, "unknown option: \"" + word + "\"");
    } else {
      positional.push_back(word);
    }
  }
  if (positional.size() != 2) return fail(EINVAL, "usage: mount.ciderfs META-URL MOUNTPOINT [-o options]");
  std::vector<std::string> out = {"mount", "-d", positional[0], positional[1]};
  out.insert(out.end(), ours.begin(), ours.end());
  if (!others.empty()) out.insert(out.end(), {"-o", others});
  return out;
}

}  // namespace cider::cli
