#include "cli/arguments.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/units.h"

namespace cider::cli {
namespace {

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

std::optional<bool> parse_bool(std::string_view text) {
  for (std::string_view yes : {"", "1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

bool listed(std::string_view values, std::string_view value) {
  if (values.empty()) return false;
  if (value.empty()) value = "-";
  while (true) {
    size_t bar = values.find('|');
    if (values.substr(0, bar) == value) return true;
    if (bar == std::string_view::npos) return false;
    values.remove_prefix(bar + 1);
  }
}

template <class T>
Status drop_value(Result<T>&& result) {
  if (!result) return fail(std::move(result).error());
  return {};
}

Status check_value(const Option& option, const std::string& value) {
  switch (option.type) {
    case OptionType::flag:
      return parse_bool(value) ? Status() : fail(EINVAL, in_quotes(value) + " is neither true nor false");
    case OptionType::integer:
      return drop_value(parse_integer(value));
    case OptionType::size:
      return value.empty() ? Status() : drop_value(parse_size(value, option.unit));
    case OptionType::duration:
      return value.empty() ? Status() : drop_value(parse_duration(value));
    case OptionType::text:
      return {};
  }
  return {};
}

}  // namespace

// One pass over the words of a command line.
class ArgumentParser {
 public:
  ArgumentParser(const Command& command, const std::vector<std::string>& words)
      : command_(command), words_(words) {
    arguments_.command_ = &command;
    declare(global_options());
    declare(command.options);
  }

  Result<Arguments> parse() {
    bool options_end = false;
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (!options_end && word == "--") {
        options_end = true;
      } else if (!options_end && word.size() > 1 && word.front() == '-') {
        TRY(take_option(word));
      } else {
        arguments_.positional_.push_back(word);
      }
    }
    if (!arguments_.help_) TRY(check_count());
    return std::move(arguments_);
  }

 private:
  void declare(std::span<const Option> options) {
    for (const Option& option : options) {
      arguments_.values_[std::string(option.name)] = {&option, {}, expand_fallback(option.fallback)};
    }
  }

  const Option* find(std::string_view name) const {
    for (std::span<const Option> options : {command_.options, global_options()}) {
      for (const Option& option : options) {
        if (option.name == name || (!option.alias.empty() && option.alias == name)) return &option;
      }
    }
    return nullptr;
  }

  const UnsupportedOption* find_unsupported(std::string_view name) const {
    for (std::span<const UnsupportedOption> options : {command_.unsupported, unsupported_global_options()}) {
      for (const UnsupportedOption& option : options) {
        if (option.name == name) return &option;
      }
    }
    return nullptr;
  }

  Status take_option(const std::string& word) {
    std::string_view name = word;
    name.remove_prefix(name.starts_with("--") ? 2 : 1);
    std::optional<std::string> value;
    if (size_t equals = name.find('='); equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    if (name == "help" || name == "h") {
      arguments_.help_ = true;
      return {};
    }
    if (const Option* option = find(name)) return take_known(*option, std::move(value));
    if (const UnsupportedOption* option = find_unsupported(name)) return refuse(*option, std::move(value));
    return fail(EINVAL, "unknown option: " + in_quotes(word));
  }

  Status take_known(const Option& option, std::optional<std::string> value) {
    std::string shown = (option.name.size() == 1 ? "-" : "--") + std::string(option.name);
    if (!value && option.type == OptionType::flag) value = "true";
    if (!value) value = TRY(next_word(shown));
    if (Status checked = check_value(option, *value); !checked) {
      return fail(EINVAL, "option " + shown + ": " + checked.error().message);
    }
    arguments_.values_.find(option.name)->second.given.push_back(*value);
    for (const Option& own : command_.options) {
      if (&own == &option) arguments_.any_set_ = true;
    }
    return {};
  }

  Status refuse(const UnsupportedOption& option, std::optional<std::string> value) {
    std::string shown = "--" + std::string(option.name);
    if (!value && option.takes_value) value = TRY(next_word(shown));
    if (value && (listed(option.harmless, *value) || (!option.takes_value && parse_bool(*value) == false)))
      return {};
    return fail(ENOTSUP,
                "option " + shown + " is not supported by this version: " + std::string(option.advice));
  }

  Result<std::string> next_word(const std::string& shown) {
    if (next_ == words_.size()) return fail(EINVAL, "option " + shown + " needs a value");
    return words_[next_++];
  }

  Status check_count() const {
    size_t count = arguments_.positional_.size();
    std::string usage =
        " (usage: ciderfs " + std::string(command_.name) + " " + std::string(command_.usage) + ")";
    if (count < command_.min_arguments) return fail(EINVAL, "arguments are missing" + usage);
    if (count > command_.max_arguments) {
      return fail(EINVAL,
                  "unexpected argument " + in_quotes(arguments_.positional_[command_.max_arguments]) + usage);
    }
    return {};
  }

  const Command& command_;
  const std::vector<std::string>& words_;
  size_t next_ = 0;
  Arguments arguments_;
};

Result<Arguments> parse_arguments(const Command& command, const std::vector<std::string>& words) {
  return ArgumentParser(command, words).parse();
}

const Arguments::Value& Arguments::value(std::string_view name, OptionType type) const {
  auto found = values_.find(name);
  if (found == values_.end() || found->second.option->type != type) {
    std::fprintf(stderr, "ciderfs: option %.*s is read but not declared so\n", static_cast<int>(name.size()),
                 name.data());
    std::abort();
  }
  return found->second;
}

bool Arguments::is_set(std::string_view name) const {
  auto found = values_.find(name);
  return found != values_.end() && !found->second.given.empty();
}

bool Arguments::flag(std::string_view name) const {
  const Value& v = value(name, OptionType::flag);
  return !v.given.empty() && parse_bool(v.given.back()).value_or(false);
}

int64_t Arguments::integer(std::string_view name) const {
  const Value& v = value(name, OptionType::integer);
  return parse_integer(v.given.empty() ? v.fallback : v.given.back()).value_or(0);
}

uint64_t Arguments::size(std::string_view name) const {
  const Value& v = value(name, OptionType::size);
  return parse_size(v.given.empty() ? v.fallback : v.given.back(), v.option->unit).value_or(0);
}

std::chrono::nanoseconds Arguments::duration(std::string_view name) const {
  const Value& v = value(name, OptionType::duration);
  return parse_duration(v.given.empty() ? v.fallback : v.given.back()).value_or(std::chrono::nanoseconds{0});
}

const std::string& Arguments::text(std::string_view name) const {
  const Value& v = value(name, OptionType::text);
  return v.given.empty() ? v.fallback : v.given.back();
}

std::vector<std::string> Arguments::list(std::string_view name) const {
  std::vector<std::string> words;
  for (std::string_view given : value(name, OptionType::text).given) {
    while (!given.empty()) {
      size_t comma = given.find(',');
      if (comma != 0) words.emplace_back(given.substr(0, comma));
      given.remove_prefix(comma == std::string_view::npos ? given.size() : comma + 1);
    }
  }
  return words;
}

std::string expand_fallback(std::string_view fallback) {
  const char* home = std::getenv("HOME");
  bool root = ::geteuid() == 0 || home == nullptr;
  if (fallback == "~DATA") return root ? "/var/jfs" : std::string(home) + "/.juicefs/local";
  if (fallback == "~CACHE") return root ? "/var/jfsCache" : std::string(home) + "/.juicefs/cache";
  if (fallback == "~LOG") return root ? "/var/log/ciderfs.log" : std::string(home) + "/.ciderfs/ciderfs.log";
  return std::string(fallback);
}

}  // namespace cider::cli
