// The command line, parsed and checked against a command's declaration.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/options.h"

namespace cider::cli {

// Values have been checked: the getters don't fail. Asking for an option that the command doesn't declare is
// a bug and aborts.
class Arguments {
 public:
  bool is_set(std::string_view name) const;
  bool any_set() const { return any_set_; }  // of the command's own options

  bool flag(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  uint64_t size(std::string_view name) const;  // bytes
  std::chrono::nanoseconds duration(std::string_view name) const;
  const std::string& text(std::string_view name) const;  // the last one given
  std::vector<std::string> list(
      std::string_view name) const;  // all given, split at commas, without empty words

  const std::vector<std::string>& positional() const { return positional_; }
  const std::string& operator[](size_t index) const { return positional_.at(index); }

  bool wants_help() const { return help_; }
  const Command& command() const { return *command_; }

 private:
  friend class ArgumentParser;

  struct Value {
    const Option* option = nullptr;
    std::vector<std::string> given;
    std::string fallback;
  };
  const Value& value(std::string_view name, OptionType type) const;

  const Command* command_ = nullptr;
  std::map<std::string, Value, std::less<>> values_;  // by Option::name
  std::vector<std::string> positional_;
  bool any_set_ = false;
  bool help_ = false;
};

// Parses what follows the command's name (and global options that stood before it). Options may stand before
// and after positional arguments; "--" ends them. EINVAL names the option or argument that is wrong, ENOTSUP
// one that isn't supported.
Result<Arguments> parse_arguments(const Command& command, const std::vector<std::string>& words);

// Fallbacks that depend on who runs the program: replaces "~DATA" (/var/jfs or ~/.juicefs/local), "~CACHE"
// (/var/jfsCache or ~/.juicefs/cache: JuiceFS's, so that whoever changes over keeps the cache) and "~LOG".
std::string expand_fallback(std::string_view fallback);

}  // namespace cider::cli
