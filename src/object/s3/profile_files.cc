#include "object/s3/profile_files.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/file_io.h"
#include "base/text.h"

namespace cider::object::s3 {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// The text before a '#' or ';'; in a value, only one with a blank in front begins a comment.
std::string_view without_comment(std::string_view text, bool after_blank) {
  for (size_t i = 0; i < text.size(); i++) {
    const bool mark = text[i] == '#' || text[i] == ';';
    if (mark && (!after_blank || (i > 0 && is_blank(text[i - 1])))) return text.substr(0, i);
  }
  return text;
}

// "profile x" of "[ profile  x ] # comment"; nullopt for a line that is no title.
std::optional<std::string> title_of(std::string_view line) {
  const std::string_view text = trim(without_comment(line, false));
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return std::nullopt;
  const std::string_view inner = trim(text.substr(1, text.size() - 2));
  const size_t blank = inner.find_first_of(" \t");
  if (blank == inner.npos) return std::string(inner);
  return std::string(inner.substr(0, blank)) + " " + std::string(trim(inner.substr(blank)));
}

std::string_view unquoted(std::string_view value) {
  const bool quoted =
      value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.front() == value.back();
  return quoted ? value.substr(1, value.size() - 2) : value;
}

struct Setting {
  std::string name;
  std::string value;
};

// Of "name = value # comment" or "name: value".
std::optional<Setting> setting_of(std::string_view line) {
  const std::string_view text = without_comment(line, true);
  const size_t at = text.find_first_of("=:");
  if (at == text.npos) return std::nullopt;
  std::string name(trim(text.substr(0, at)));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return Setting{std::move(name), std::string(unquoted(trim(text.substr(at + 1))))};
}

}  // namespace

std::string Section::get(std::string_view name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::string() : it->second;
}

void Section::add(const Section& other) {
  // Keys go together: a token is that of its key.
  constexpr auto kKeys =
      std::to_array<std::string_view>({"aws_access_key_id", "aws_secret_access_key", "aws_session_token"});
  if (std::ranges::any_of(kKeys, [&](std::string_view key) { return other.has(key); })) {
    for (const std::string_view key : kKeys) {
      if (const auto it = values_.find(key); it != values_.end()) values_.erase(it);
    }
  }
  for (const auto& [name, value] : other.values_) set(name, value);
}

ProfileFiles::Sections ProfileFiles::parse(std::string_view ini) {
  Sections sections;
  Section* section = nullptr;
  bool nests = false;  // the last setting has no value: indented lines are below it
  while (!ini.empty()) {
    const size_t end = ini.find('\n');
    const std::string_view line = ini.substr(0, end);
    ini = end == ini.npos ? std::string_view() : ini.substr(end + 1);
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (const auto title = title_of(line)) {
      section = &sections[*title];
      nests = false;
      continue;
    }
    const bool indented = is_blank(line.front());
    auto setting = setting_of(line);
    if (!section || !setting || (indented && nests)) continue;
    nests = setting->value.empty();
    section->set(std::move(setting->name), std::move(setting->value));
  }
  return sections;
}

const Section* ProfileFiles::find(const Sections& sections, const std::string& title) {
  const auto it = sections.find(title);
  return it == sections.end() ? nullptr : &it->second;
}

ProfileFiles::ProfileFiles(std::string_view credentials, std::string_view config)
    : credentials_(parse(credentials)), config_(parse(config)) {}

ProfileFiles ProfileFiles::read(const Environment& env) {
  auto content = [&](const char* variable, const char* file) {
    const std::string given = env(variable);
    return read_file(given.empty() ? env("HOME") + "/.aws/" + file : given).value_or("");
  };
  return {content("AWS_SHARED_CREDENTIALS_FILE", "credentials"), content("AWS_CONFIG_FILE", "config")};
}

std::optional<Section> ProfileFiles::profile(const std::string& name) const {
  const Section* config = find(config_, "profile " + name);
  if (!config && name == "default") config = find(config_, name);
  const Section* credentials = find(credentials_, name);
  if (!config && !credentials) return std::nullopt;
  Section merged = config ? *config : Section();
  if (credentials) merged.add(*credentials);
  return merged;
}

std::optional<Section> ProfileFiles::sso_session(const std::string& name) const {
  const Section* section = find(config_, "sso-session " + name);
  return section ? std::optional(*section) : std::nullopt;
}

}  // namespace cider::object::s3
