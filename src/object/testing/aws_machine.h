// A machine as sources of keys see it: its variables, its files below HOME, its time. For tests only.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "base/clock.h"
#include "object/s3/credentials.h"
#include "object/testing/temp_dir.h"

namespace cider::object::testing {

// A clock that stands.
class SetClock final : public Clock {
 public:
  Time now() const override { return {seconds, 0}; }
  Monotonic::time_point monotonic() const override { return {}; }
  int64_t seconds = 1'000'000'000;
};

inline constexpr const char* kInAnHour = "2001-09-09T02:46:40Z";  // after SetClock's first time

// Not thread-safe. Without an instance's service; with HOME.
class AwsMachine {
 private:
  TempDir home_;
  s3::Environment env_;

 public:
  std::map<std::string, std::string> variables = {{"HOME", home_.path()},
                                                  {"AWS_EC2_METADATA_DISABLED", "true"}};
  SetClock clock;

  std::string path(const std::string& name) const { return home_.path() + "/" + name; }
  // With the folders above it. Returns the path.
  std::string write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  std::string read(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  // Of the variables as they are now.
  s3::Environment environment() const {
    return [values = variables](const char* name) {
      const auto it = values.find(name);
      return it == values.end() ? std::string() : it->second;
    };
  }
  // Valid until the next call.
  s3::SourceContext context(std::stop_token stop = {}) {
    env_ = environment();
    return {env_, clock, std::move(stop)};
  }
  s3::CredentialSource source(const char* storage = "s3") const {
    return {*s3::find_provider(storage), {}, environment(), clock};
  }
};

}  // namespace cider::object::testing
