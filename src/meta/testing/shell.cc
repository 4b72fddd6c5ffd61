#include "meta/testing/shell.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "base/testing/source_dir.h"

namespace cider::meta::testing {

std::string shell_quoted(std::string_view text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("no pipe");
  std::string out;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  if (pclose(pipe) != 0) throw std::runtime_error(command + " fails: " + out);
  return out;
}

std::string built_program(const char* variable, std::string_view name) {
  const char* named = std::getenv(variable);
  return named ? named : cider::testing::source_dir() + ("/build/tools/bin/" + std::string(name));
}

}  // namespace cider::meta::testing
