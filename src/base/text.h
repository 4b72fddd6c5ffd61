// Small things about text. Pure functions.
#pragma once

#include <string_view>

namespace cider {

// Without the blanks, tabs and ends of lines around it.
inline std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace cider
