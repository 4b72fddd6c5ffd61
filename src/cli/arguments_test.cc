#include "cli/arguments.h"

#include <gtest/gtest.h>

#include <set>

#include "cli/commands.h"
#include "cli/help.h"

namespace cider::cli {
namespace {

using namespace std::chrono_literals;

constexpr Option kOptions[] = {
    {.name = "background", .alias = "d", .help = "flag"},
    {.name = "size", .type = OptionType::size, .unit = 'M', .fallback = "300M"},
    {.name = "time", .type = OptionType::duration, .fallback = "1.0s"},
    {.name = "count", .type = OptionType::integer, .fallback = "7"},
    {.name = "o", .type = OptionType::text},
};
constexpr UnsupportedOption kUnsupported[] = {
    {.name = "cache-size", .harmless = "0|0M", .advice = "leave it out"},
    {.name = "metrics", .harmless = "-", .advice = "leave it out"},
    {.name = "writeback", .takes_value = false, .advice = "leave it out"},
};
constexpr Command kCommand = {.name = "try",
                              .category = {},
                              .usage = "A B",
                              .summary = {},
                              .description = {},
                              .options = kOptions,
                              .unsupported = kUnsupported,
                              .min_arguments = 1,
                              .max_arguments = 2};

Result<Arguments> parse(const std::vector<std::string>& words) {
  return parse_arguments(kCommand, words);
}

TEST(Arguments, FallbacksHoldWhereNothingIsGiven) {
  Arguments arguments = *parse({"a"});
  EXPECT_FALSE(arguments.flag("background"));
  EXPECT_EQ(arguments.size("size"), 300u << 20);
  EXPECT_EQ(arguments.duration("time"), 1s);
  EXPECT_EQ(arguments.integer("count"), 7);
  EXPECT_EQ(arguments.text("o"), "");
  EXPECT_FALSE(arguments.any_set());
  EXPECT_FALSE(arguments.is_set("count"));
}

TEST(Arguments, OptionsMayStandAnywhere) {
  Arguments arguments = *parse({"-d", "a", "--size", "1G", "b", "--time=2m", "--count", "-3"});
  EXPECT_TRUE(arguments.flag("background"));
  EXPECT_EQ(arguments.size("size"), 1u << 30);
  EXPECT_EQ(arguments.duration("time"), 2min);
  EXPECT_EQ(arguments.integer("count"), -3);
  EXPECT_EQ(arguments.positional(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(arguments.any_set());
}

TEST(Arguments, FlagsTakeValuesOnlyWithAnEqualsSign) {
  EXPECT_FALSE(parse({"a", "--background=false"})->flag("background"));
  EXPECT_TRUE(parse({"a", "--background", "false"})->flag("background"));
  EXPECT_EQ(parse({"a", "--background=maybe"}).error().message,
            "option --background: \"maybe\" is neither true nor false");
}

TEST(Arguments, ListsAreSplitAtCommasAndAdded) {
  EXPECT_EQ(parse({"a", "-o", "x,y,,z=1", "-o", "w"})->list("o"),
            (std::vector<std::string>{"x", "y", "z=1", "w"}));
}

TEST(Arguments, TwoDashesEndTheOptions) {
  EXPECT_EQ(parse({"--", "-d", "--size"})->positional(), (std::vector<std::string>{"-d", "--size"}));
}

TEST(Arguments, GlobalOptionsAreKnownEverywhere) {
  Arguments arguments = *parse({"a", "--verbose"});
  EXPECT_TRUE(arguments.flag("verbose"));
  EXPECT_FALSE(arguments.any_set());
}

TEST(Arguments, ErrorsNameWhatIsWrong) {
  EXPECT_EQ(parse({"a", "--bogus"}).error().message, "unknown option: \"--bogus\"");
  EXPECT_EQ(parse({"a", "-x=1"}).error().message, "unknown option: \"-x=1\"");
  EXPECT_EQ(parse({"a", "--size"}).error().message, "option --size needs a value");
  EXPECT_EQ(parse({"a", "--size", "many"}).error().message,
            "option --size: \"many\" is not a size; write it like 4M, 1.5G or 300");
  EXPECT_EQ(parse({"a", "--count", "1x"}).error().message,
            "option --count: \"1x\" is not a whole number; write it like 10");
  EXPECT_EQ(parse({}).error().message, "arguments are missing (usage: ciderfs try A B)");
  EXPECT_EQ(parse({"a", "b", "c"}).error().message, "unexpected argument \"c\" (usage: ciderfs try A B)");
}

TEST(Arguments, UnsupportedOptionsAreRefusedUnlessTheyAskForNothing) {
  Result<Arguments> refused = parse({"a", "--cache-size", "1G"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOTSUP);
  EXPECT_EQ(refused.error().message, "option --cache-size is not supported by this version: leave it out");
  EXPECT_EQ(code_of(parse({"a", "--writeback"})), ENOTSUP);
  EXPECT_EQ(code_of(parse({"a", "--metrics", "127.0.0.1:1"})), ENOTSUP);

  EXPECT_EQ(parse({"--cache-size", "0", "a"})->positional().size(), 1u);
  EXPECT_EQ(parse({"--cache-size=0M", "a"})->positional().size(), 1u);
  EXPECT_EQ(parse({"--metrics", "", "a"})->positional().size(), 1u);
  EXPECT_EQ(parse({"--writeback=false", "a"})->positional().size(), 1u);
}

TEST(Arguments, HelpNeedsNoOtherArguments) {
  EXPECT_TRUE(parse({"--help"})->wants_help());
}

// Each name means one thing, its default can be read, and no option is both declared and refused.
TEST(Commands, AreDeclaredConsistently) {
  for (const Command* command : commands()) {
    std::set<std::string_view> names;
    for (const Option& option : global_options()) names.insert(option.name);
    for (const Option& option : command->options) {
      EXPECT_TRUE(names.insert(option.name).second) << command->name << " --" << option.name;
      if (!option.alias.empty()) {
        EXPECT_TRUE(names.insert(option.alias).second) << command->name << " -" << option.alias;
      }
      EXPECT_FALSE(option.help.empty()) << command->name << " --" << option.name;
      if (option.fallback.empty() || option.type == OptionType::flag) continue;
      std::string word = "--" + std::string(option.name) + "=" + std::string(option.fallback);
      std::vector<std::string> words(command->min_arguments, "x");
      words.push_back(word);
      EXPECT_TRUE(parse_arguments(*command, words)) << command->name << " " << word;
    }
    for (const UnsupportedOption& option : command->unsupported) {
      EXPECT_TRUE(names.insert(option.name).second) << command->name << " --" << option.name;
      EXPECT_FALSE(option.advice.empty()) << option.name;
    }
    EXPECT_EQ(find_command(command->name), command);
  }
}

TEST(Help, ShowsEveryCommandAndOption) {
  std::string page = markdown_reference();
  for (const Command* command : commands()) {
    EXPECT_NE(page.find("## ciderfs " + std::string(command->name)), std::string::npos);
    std::string help = command_help(*command);
    for (const Option& option : command->options) {
      std::string name = (option.name.size() == 1 ? "-" : "--") + std::string(option.name);
      EXPECT_EQ(help.find(name) == std::string::npos, option.hidden) << command->name << " " << name;
    }
  }
}

}  // namespace
}  // namespace cider::cli
