#include "meta/model/session.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "meta/model/rfc3339.h"
#include "meta/testing/redis_fixture.h"

namespace cider::meta {
namespace {

// Written by JuiceFS 1.4.1 in UTC.
constexpr char kSession[] =
    R"({"Version":"1.4.1+2026-07-30.0b90c7db5","HostName":"fixture-host","MountPoint":"/mnt/ciderfs-fixture/main-redis",)"
    R"("MountTime":"2026-11-22T15:46:32.615106568Z","ProcessID":21333})";

// Sets the time zone for one test.
class Session : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* zone = std::getenv("TZ")) old_zone_ = zone;
    set_zone("UTC0");
  }
  void TearDown() override {
    if (old_zone_) {
      set_zone(old_zone_->c_str());
    } else {
      unsetenv("TZ");
      tzset();
    }
  }
  static void set_zone(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }

 private:
  std::optional<std::string> old_zone_;
};

TEST_F(Session, RecordComesBackByteForByte) {
  SessionInfo info = decode_session_info(kSession).value();
  EXPECT_EQ(info.version, "1.4.1+2026-07-30.0b90c7db5");
  EXPECT_EQ(info.host_name, "fixture-host");
  EXPECT_EQ(info.mount_point, "/mnt/ciderfs-fixture/main-redis");
  EXPECT_EQ(info.mount_time, (Time{1795362392, 615106568}));
  EXPECT_EQ(info.process_id, 21333u);
  EXPECT_TRUE(info.ip_addresses.empty());
  EXPECT_EQ(encode_session_info(info), kSession);
}

TEST_F(Session, AddressesAndEscapes) {
  SessionInfo info;
  info.ip_addresses = {"192.0.2.1", "2001:db8::1"};
  info.mount_point = "/a & \"b\"";
  EXPECT_EQ(
      encode_session_info(info),
      R"({"Version":"","HostName":"","IPAddrs":["192.0.2.1","2001:db8::1"],"MountPoint":"/a \u0026 \"b\"",)"
      R"("MountTime":"1970-01-01T00:00:00Z","ProcessID":0})");
  EXPECT_EQ(decode_session_info(encode_session_info(info)).value(), info);
  info.mount_point = "/\xff";
  EXPECT_EQ(decode_session_info(encode_session_info(info)).value().mount_point, "/\xef\xbf\xbd");
}

TEST_F(Session, TheLocalOffsetIsWritten) {
  const Time time{1795362392, 600000000};
  set_zone("XXX-5:45");
  EXPECT_EQ(format_rfc3339(time), "2026-11-22T21:31:32.6+05:45");
  set_zone("YYY3:30");
  EXPECT_EQ(format_rfc3339(time), "2026-11-22T12:16:32.6-03:30");
  EXPECT_EQ(parse_rfc3339("2026-11-22T21:31:32.6+05:45"), time);
  EXPECT_EQ(parse_rfc3339("2026-11-22T12:16:32.6-03:30"), time);
}

TEST_F(Session, Times) {
  EXPECT_EQ(format_rfc3339({0, 1}), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.000000001Z"), (Time{0, 1}));
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.5Z"), (Time{-1, 500000000}));
  EXPECT_EQ(format_rfc3339(parse_rfc3339("0001-01-01T00:00:00Z").value()),
            "0001-01-01T00:00:00Z");  // Go's zero time
  for (const char* text :
       {"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+00:01", "", "2026-11-22", "2026-11-22 15:46:32Z",
        "2026-11-22T15:46:32", "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T15:46:32.Z",
        "2026-11-22T15:46:32Zx", "2026-11-22T15:46:32+0100"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST_F(Session, DecodingTolerates) {
  EXPECT_EQ(decode_session_info("{}").value(), SessionInfo{});
  EXPECT_EQ(
      decode_session_info(R"({"Version":1,"IPAddrs":[1,"a",null],"MountTime":"now","ProcessID":-1,"New":[]})")
          .value(),
      (SessionInfo{.ip_addresses = {"a"}}));
  EXPECT_EQ(code_of(decode_session_info("")), EINVAL);
  EXPECT_EQ(code_of(decode_session_info("[]")), EINVAL);
  EXPECT_EQ(code_of(decode_session_info("{\"Version\":\"\xff\"}")), EINVAL);
}

using SessionFixture = Session;

TEST_F(SessionFixture, EveryRecordComesBackByteForByte) {
  CIDER_FIXTURE(dir, "main-redis");
  const auto sessions = testing::load_redis_fixture(dir).hashes.at("sessionInfos");
  ASSERT_FALSE(sessions.empty());
  for (const auto& [sid, json] : sessions)
    EXPECT_EQ(encode_session_info(decode_session_info(json).value()), json) << sid;
}

}  // namespace
}  // namespace cider::meta
