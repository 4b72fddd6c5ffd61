#include "cli/hide_secrets.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cider::cli {
namespace {

TEST(HideSecrets, OverwritesThemAndNothingElse) {
  std::vector<std::string> words = {"ciderfs",
                                    "format",
                                    "--secret-key",
                                    "abc",
                                    "--session-token=defg",
                                    "redis://:pw@h:1/2",
                                    "redis://u:p:w@h/1",
                                    "sqlite3:///a@b.db",
                                    "--access-key",
                                    "AK",
                                    "--secret-key"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  hide_secrets(static_cast<int>(argv.size()), argv.data());
  const std::vector<std::string> expected = {"ciderfs",
                                             "format",
                                             "--secret-key",
                                             "***",
                                             "--session-token=****",
                                             "redis://:**@h:1/2",
                                             "redis://u:***@h/1",
                                             "sqlite3:///a@b.db",
                                             "--access-key",
                                             "AK",
                                             "--secret-key"};
  EXPECT_EQ(words, expected);
}

}  // namespace
}  // namespace cider::cli
