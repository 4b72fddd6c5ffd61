// Scans whose pages come from different runs of the server: none of them leaves out what stays.
#include <gtest/gtest.h>

#include <set>

#include "meta/store/redis/scan_cursor.h"
#include "meta/testing/redis_clients.h"

namespace cider::meta {
namespace {

class RedisScanTest : public testing::RedisTest {};

TEST_F(RedisScanTest, AListingGoesOnAcrossARestart) {
  constexpr int kNames = 3000;
  for (int i = 0; i < kNames; ++i) ASSERT_TRUE(b_->mknod(Caller{}, kRootIno, std::to_string(i), NewNode{}));
  std::set<std::string> seen;
  DirCursor cursor;
  for (int page = 0; !cursor.at_end; ++page) {
    auto entries = a_->list_dir(kRootIno, &cursor, 500, page % 2 == 0);
    ASSERT_TRUE(entries) << entries.error().to_string();
    for (const ListedEntry& entry : *entries) EXPECT_TRUE(seen.insert(entry.name).second) << entry.name;
    if (page == 2) server_.restart();
  }
  EXPECT_EQ(seen.size(), kNames);
}

TEST_F(RedisScanTest, AScanOfTheDatabaseGoesOnAcrossARestart) {
  constexpr int kKeys = 3000;
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(direct_->run("SET", "other" + std::to_string(i), "x"));
  std::set<std::string> seen;
  redis::ScanCursor cursor;
  for (int page = 0; !cursor.at_end(); ++page) {
    auto keys = cursor.next(*direct_, {"SCAN"}, {"MATCH", "other*", "COUNT", "200"});
    ASSERT_TRUE(keys) << keys.error().to_string();
    for (size_t i = 0; i < keys->size(); ++i) seen.insert(std::string((*keys)[i].text()));
    if (page == 5 || page == 8) server_.restart();
  }
  EXPECT_EQ(seen.size(), kKeys);
}

}  // namespace
}  // namespace cider::meta
