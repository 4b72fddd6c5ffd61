// Commands whose output is wanted. For tests only.
#pragma once

#include <string>
#include <string_view>

namespace cider::meta::testing {

// One word for the shell.
std::string shell_quoted(std::string_view text);
// What the command printed. Throws where it fails.
std::string output_of(const std::string& command);
// A program that scripts/test.sh builds for the tests; the environment's `variable` may name another.
std::string built_program(const char* variable, std::string_view name);

}  // namespace cider::meta::testing
