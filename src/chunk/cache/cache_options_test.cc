#include "chunk/cache/cache_options.h"

#include <gtest/gtest.h>

#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

using Paths = std::vector<std::string>;

TEST(CacheOptions, ListsOfDirectories) {
  EXPECT_EQ(expand_cache_dirs("/b/:/a"), (Paths{"/a", "/b"}));
  EXPECT_EQ(expand_cache_dirs("/b, /a/"), (Paths{"/a", "/b"}));
  EXPECT_EQ(expand_cache_dirs("/a,b:/c"), (Paths{"/a,b", "/c"}));
  EXPECT_EQ(expand_cache_dirs("/a:/a/"), (Paths{"/a"}));
  EXPECT_EQ(expand_cache_dirs("/"), (Paths{"/"}));
}

TEST(CacheOptions, PatternsGiveTheDirectoriesThatAreThere) {
  testing::TempDir dir;
  const std::string root = dir.path();
  for (const char* name : {"disk1", "disk2", "other"}) std::filesystem::create_directory(dir.path() / name);
  EXPECT_EQ(expand_cache_dirs(root + "/disk*"), (Paths{root + "/disk1", root + "/disk2"}));
  EXPECT_EQ(expand_cache_dirs(root + "/disk[2-9]:" + root + "/new"), (Paths{root + "/disk2", root + "/new"}));
  EXPECT_TRUE(expand_cache_dirs(root + "/none*").empty());
}

}  // namespace
}  // namespace cider::chunk
