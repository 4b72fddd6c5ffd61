#include "meta/store/kv/tikv/tikv_url.h"

#include <gtest/gtest.h>

namespace cider::meta::kv {
namespace {

TEST(TikvUrlTest, TakesWhatJuiceFsTakes) {
  auto url = parse_tikv_url("tikv://pd1:2379,pd2/team?ca=/ca.pem&cert=/c.pem&key=/k.pem&verify-cn=tikv");
  ASSERT_TRUE(url) << url.error().to_string();
  EXPECT_EQ(url->placement_drivers, (std::vector<std::string>{"pd1:2379", "pd2:2379"}));
  EXPECT_EQ(url->key_prefix(), "team\xFD");
  ASSERT_TRUE(url->tls);
  EXPECT_EQ(url->tls->ca, "/ca.pem");
  EXPECT_EQ(url->tls->server_name, "tikv");
  EXPECT_EQ(url->describe(), "tikv://pd1:2379,pd2:2379/team");
  EXPECT_EQ(parse_tikv_url("tikv://pd")->key_prefix(), "\xFD");
  EXPECT_FALSE(parse_tikv_url("tikv://pd/x")->tls);
  EXPECT_EQ(parse_tikv_url("tikv://pd/x")->gc_interval, std::chrono::hours(3));
  EXPECT_EQ(parse_tikv_url("tikv://pd/x?gc-interval=2h")->gc_interval, std::chrono::hours(2));
  EXPECT_EQ(parse_tikv_url("tikv://pd/x?gc-interval=0")->gc_interval, std::chrono::hours(0));
}

TEST(TikvUrlTest, SaysWhatIsWrong) {
  for (const char* wrong : {"etcd://pd/x", "tikv://", "tikv://pd,,pd2/x", "tikv://pd/x?colour=red",
                            "tikv://pd/x?cert=/c", "tikv://pd/x?ca=/a&verify-cn=a,b", "tikv://user:pw@pd/x",
                            "tikv://pd/x?verify-cn=a", "tikv://pd/x?gc-interval=5m"}) {
    auto url = parse_tikv_url(wrong);
    ASSERT_FALSE(url) << wrong;
    EXPECT_EQ(url.error().code, EINVAL);
  }
}

}  // namespace
}  // namespace cider::meta::kv
