#include "meta/model/client_version.h"

#include <gtest/gtest.h>

#include "base/version.h"
#include "meta/model/volume.h"

namespace cider::meta {
namespace {

ClientVersion parse(std::string_view text) {
  return parse_client_version(text).value();
}

TEST(ClientVersion, Parses) {
  EXPECT_EQ(parse("1.4.1+2026-07-30.0b90c7db5"), (ClientVersion{1, 4, 1, ""}));
  EXPECT_EQ(parse("1.2.0-beta1"), (ClientVersion{1, 2, 0, "beta1"}));
  EXPECT_EQ(parse("2"), (ClientVersion{2, 0, 0, ""}));
  EXPECT_EQ(parse("2.1"), (ClientVersion{2, 1, 0, ""}));
  EXPECT_EQ(parse("1.0.0-a-b+c"), (ClientVersion{1, 0, 0, "a-b"}));
  for (const char* text :
       {"", "x", "1.", "1.2.3.4", "-1", "+1", "1.-2", " 1", "1.2.x", "18446744073709551616"}) {
    EXPECT_FALSE(parse_client_version(text)) << text;
  }
}

TEST(ClientVersion, Orders) {
  const char* rising[] = {"0.9",   "1.1.0-A", "1.1.0-beta1", "1.1.0-rc1", "1.1.0",
                          "1.1.1", "1.2.0-A", "1.10",        "2.0"};
  for (size_t i = 0; i + 1 < std::size(rising); i++) {
    EXPECT_LT(parse(rising[i]), parse(rising[i + 1])) << rising[i];
    EXPECT_EQ(later_version(rising[i], rising[i + 1]), rising[i + 1]);
    EXPECT_EQ(later_version(rising[i + 1], rising[i]), rising[i + 1]);
  }
  EXPECT_EQ(later_version("", "1.1.0-A"), "1.1.0-A");
  EXPECT_EQ(later_version("1.1.0-A", ""), "1.1.0-A");
}

TEST(ClientVersion, OursReadsAsTheCompatibleRelease) {
  EXPECT_EQ(parse(client_version()), parse(kCompatibleVersion));
  EXPECT_FALSE(ciderfs_version().empty());
}

int judge(const std::string& min, const std::string& max) {
  Volume volume;
  volume.min_client_version = min;
  volume.max_client_version = max;
  return code_of(check_client_version(volume));
}

TEST(ClientVersion, VolumesChooseTheirClients) {
  EXPECT_EQ(judge("", ""), 0);
  EXPECT_EQ(judge("1.4.1", "1.4.1"), 0);
  EXPECT_EQ(judge("1.1.0-A", "2.0.0"), 0);
  EXPECT_EQ(judge("1.4.2-A", ""), EPERM);
  EXPECT_EQ(judge("1.5", ""), EPERM);
  EXPECT_EQ(judge("", "1.4.1-rc1"), EPERM);
  EXPECT_EQ(judge("", "1.4.0"), EPERM);
  EXPECT_EQ(judge("newest", ""), EPERM);
  EXPECT_EQ(judge("", "newest"), EPERM);
}

TEST(ClientVersion, MessagesNameBothVersions) {
  Volume volume;
  volume.min_client_version = "1.5.0";
  const std::string message = check_client_version(volume).error().message;
  EXPECT_NE(message.find("1.4.1"), message.npos) << message;
  EXPECT_NE(message.find("1.5.0"), message.npos) << message;
}

TEST(ClientVersion, NewerMetadataIsRefused) {
  Volume volume;
  volume.meta_version = 2;
  EXPECT_EQ(code_of(check_client_version(volume)), EPERM);
  volume.meta_version = 0;  // of the first releases
  EXPECT_TRUE(check_client_version(volume));
}

}  // namespace
}  // namespace cider::meta
