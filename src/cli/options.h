// What a command is: its options, declared once. From the declaration come the parser (arguments.h), --help
// and docs/cli.md (help.h). Names, defaults and units are JuiceFS's wherever the meaning is the same.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace cider::cli {

class Arguments;

enum class OptionType { flag, integer, size, duration, text };

struct Option {
  std::string_view name;        // "buffer-size"; given as --buffer-size 1G or --buffer-size=1G
  std::string_view alias = {};  // a second name, "d"
  OptionType type = OptionType::flag;
  char unit = 'B';                 // of a size without one
  std::string_view fallback = {};  // the value where the option isn't given; of a flag always false
  std::string_view group = {};     // heading in --help; options of a group stand together
  std::string_view help = {};
  bool hidden = false;  // works, but isn't shown
};

// An option that JuiceFS has and this version does not: refused with a reason, unless its value is one of
// `harmless`, which ask for nothing that we don't do anyway.
struct UnsupportedOption {
  std::string_view name;
  bool takes_value = true;
  std::string_view harmless = {};  // values separated by '|', e.g. "0|0s"; "-" stands for the empty value
  std::string_view advice = {};    // what to do: "leave it out: there is no disk cache yet"
};

struct Command {
  std::string_view name;
  std::string_view category;     // heading in the list of commands
  std::string_view usage;        // "META-URL MOUNTPOINT"
  std::string_view summary;      // one line, for the list of commands
  std::string_view description;  // paragraphs and examples for --help
  std::span<const Option> options;
  std::span<const UnsupportedOption> unsupported;
  size_t min_arguments = 0;
  size_t max_arguments = 0;
  // Looks at the values given, before anything is done. An error is printed and makes the exit code 2, as all
  // that is wrong with a command line does.
  Status (*check)(const Arguments&) = nullptr;
  // Does the work. 0, or the exit code. An error is printed and makes it 1.
  Result<int> (*run)(const Arguments&) = nullptr;
  bool hidden = false;
};

// All commands, in the order of the list.
std::span<const Command* const> commands();
const Command* find_command(std::string_view name);

// Options that every command takes, before or after its name.
std::span<const Option> global_options();
std::span<const UnsupportedOption> unsupported_global_options();

}  // namespace cider::cli
