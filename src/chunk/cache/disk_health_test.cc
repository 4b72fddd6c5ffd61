#include "chunk/cache/disk_health.h"

#include <gtest/gtest.h>

#include <vector>

namespace cider::chunk {
namespace {

using State = DiskHealth::State;

struct FakeClock : Clock {
  Time now() const override { return {}; }
  Monotonic::time_point monotonic() const override { return time; }
  Monotonic::time_point time{Seconds(1000)};
};

struct Disk {
  FakeClock clock;
  DiskHealth health{"/disk", clock};

  void requests(int n, int error) {
    for (int i = 0; i < n; i++) {
      auto request = health.begin();
      ASSERT_TRUE(request);
      request.done(error);
    }
  }
  void pass(Seconds time) {
    clock.time += time;
    health.tick();
  }
};

TEST(DiskHealth, AFewErrorsWithinAMinute) {
  Disk disk;
  disk.requests(2, EIO);
  disk.pass(Seconds(60));
  disk.requests(2, EIO);
  EXPECT_EQ(disk.health.state(), State::normal);
  disk.requests(1, EIO);
  EXPECT_EQ(disk.health.state(), State::unstable);
}

TEST(DiskHealth, OtherErrorsAreNotTheDisks) {
  Disk disk;
  for (int error : {ENOENT, ENOSPC, EBADMSG, EACCES}) disk.requests(10, error);
  EXPECT_EQ(disk.health.state(), State::normal);
}

TEST(DiskHealth, AQuietMinuteWithEnoughRequestsMakesItNormal) {
  Disk disk;
  disk.requests(3, EIO);
  disk.requests(59, 0);
  disk.pass(Seconds(60));
  EXPECT_EQ(disk.health.state(), State::unstable);
  disk.requests(60, 0);
  disk.requests(1, EIO);
  disk.pass(Seconds(60));
  EXPECT_EQ(disk.health.state(), State::unstable);
  disk.requests(60, 0);
  disk.pass(Seconds(60));
  EXPECT_EQ(disk.health.state(), State::normal);
}

TEST(DiskHealth, HalfAnHourOfErrorsTakesItDownAndAProbeBringsItBack) {
  Disk disk;
  disk.requests(3, EIO);
  for (int minute = 0; minute < 30; minute++) disk.pass(Seconds(60));
  EXPECT_EQ(disk.health.state(), State::down);
  EXPECT_FALSE(disk.health.begin());
  disk.health.probed(EIO);
  EXPECT_EQ(disk.health.state(), State::down);
  disk.clock.time += Seconds(60);
  EXPECT_TRUE(disk.health.tick());
  disk.health.probed(0);
  EXPECT_EQ(disk.health.state(), State::unstable);
  disk.requests(60, 0);
  disk.pass(Seconds(60));
  EXPECT_EQ(disk.health.state(), State::normal);
}

TEST(DiskHealth, RequestsThatHangCountWhileTheyHang) {
  Disk disk;
  std::vector<DiskHealth::Request> hanging;
  for (int i = 0; i < 3; i++) hanging.push_back(disk.health.begin());
  disk.pass(Seconds(29));
  EXPECT_EQ(disk.health.state(), State::normal);
  disk.pass(Seconds(1));
  EXPECT_EQ(disk.health.state(), State::unstable);
}

TEST(DiskHealth, FewAtOnceWhileUnstable) {
  Disk disk;
  disk.requests(3, EIO);
  std::vector<DiskHealth::Request> running;
  for (int i = 0; i < DiskHealth::kMostAtOnce; i++) {
    running.push_back(disk.health.begin());
    EXPECT_TRUE(running.back());
  }
  EXPECT_FALSE(disk.health.begin());
  running.pop_back();
  EXPECT_TRUE(disk.health.begin());
}

}  // namespace
}  // namespace cider::chunk
