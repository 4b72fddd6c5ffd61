#include "chunk/cache/cache_options.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>

namespace cider::chunk {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

std::string trimmed(std::string path) {
  const size_t begin = path.find_first_not_of(' ');
  if (begin == std::string::npos) return {};
  path = path.substr(begin, path.find_last_not_of(' ') - begin + 1);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// The folders that match; one that has no pattern is taken as it is. The volume's own folder is made below.
std::vector<std::string> matches(const std::string& pattern) {
  if (pattern.find_first_of("*?[\\") == std::string::npos) return {pattern};
  std::vector<std::string> found;
  glob_t result{};
  if (::glob(pattern.c_str(), 0, nullptr, &result) == 0) {
    for (size_t i = 0; i < result.gl_pathc; i++) {
      struct stat about{};
      if (::stat(result.gl_pathv[i], &about) == 0 && S_ISDIR(about.st_mode))
        found.emplace_back(result.gl_pathv[i]);
    }
  }
  ::globfree(&result);
  return found;
}

}  // namespace

std::vector<std::string> expand_cache_dirs(const std::string& dirs) {
  std::vector<std::string> expanded;
  for (const std::string& part : split(dirs, dirs.find(':') == std::string::npos ? ',' : ':')) {
    const std::string pattern = trimmed(part);
    if (pattern.empty()) continue;
    for (std::string& dir : matches(pattern)) expanded.push_back(std::move(dir));
  }
  std::sort(expanded.begin(), expanded.end());
  expanded.erase(std::unique(expanded.begin(), expanded.end()), expanded.end());
  return expanded;
}

Result<Verify> parse_verify(std::string_view text) {
  if (text == "none") return Verify::none;
  if (text == "full") return Verify::full;
  if (text == "shrink") return Verify::shrink;
  if (text == "extend") return Verify::extend;
  return fail(EINVAL);
}

Result<Eviction> parse_eviction(std::string_view text) {
  if (text == "2-random") return Eviction::two_random;
  if (text == "lru") return Eviction::lru;
  if (text == "none") return Eviction::none;
  return fail(EINVAL);
}

}  // namespace cider::chunk
