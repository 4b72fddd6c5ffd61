#include "cli/hide_secrets.h"

#include <cstring>
#include <string_view>

namespace cider::cli {
namespace {

constexpr std::string_view kOptions[] = {"--secret-key", "--session-token"};

void blot(char* text, size_t size) {
  std::memset(text, '*', size);
}

}  // namespace

void hide_secrets(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    const std::string_view word = argv[i];
    for (std::string_view option : kOptions) {
      if (word == option && i + 1 < argc) blot(argv[i + 1], std::strlen(argv[i + 1]));
      if (word.starts_with(option) && word.size() > option.size() && word[option.size()] == '=') {
        blot(argv[i] + option.size() + 1, word.size() - option.size() - 1);
      }
    }
    const size_t scheme = word.find("://");
    const size_t at = word.rfind('@');
    if (scheme == word.npos || at == word.npos || at < scheme) continue;
    const size_t colon = word.find(':', scheme + 3);
    if (colon != word.npos && colon < at) blot(argv[i] + colon + 1, at - colon - 1);
  }
}

}  // namespace cider::cli
