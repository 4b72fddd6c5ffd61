// Where tests find the fixture volumes: the environment variable CIDER_FIXTURES, or ../shared/fixtures beside
// the source tree. A test that needs one begins with CIDER_FIXTURE(dir, "main-redis"), and is skipped with a
// notice without it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/testing/source_dir.h"

namespace cider::testing {

// The folder of all fixtures, or of the one named; nullopt if it isn't there.
inline std::optional<std::filesystem::path> fixture_dir(const std::string& name = {}) {
  std::filesystem::path root = std::filesystem::path(source_dir()) / ".." / "shared" / "fixtures";
  if (const char* given = std::getenv("CIDER_FIXTURES")) root = given;
  std::filesystem::path dir = name.empty() ? root : root / name;
  std::error_code ignored;
  if (!std::filesystem::is_directory(dir, ignored)) return std::nullopt;
  return dir;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace cider::testing

// Declares `dir`, the path of the named fixture ("" for the folder of all), or skips the test.
#define CIDER_FIXTURE(dir, name)                                                                       \
  auto dir##_found = ::cider::testing::fixture_dir(name);                                              \
  if (!dir##_found) GTEST_SKIP() << "no fixture '" << (name) << "'; set CIDER_FIXTURES to its folder"; \
  const std::filesystem::path& dir = *dir##_found
