#include "base/outage_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "base/log.h"

namespace cider {
namespace {

namespace fs = std::filesystem;

class SetClock final : public Clock {
 public:
  Time now() const override { return {}; }
  Monotonic::time_point monotonic() const override { return at; }
  Monotonic::time_point at{Seconds(1000)};
};

class OutageLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "outage_log_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    dir_ = path;
    log::configure({.file = (dir_ / "log").string()});
  }
  void TearDown() override {
    log::configure({});
    fs::remove_all(dir_);
  }
  void fail_times(int times) {
    for (int i = 0; i < times; ++i) outage.failed({EIO, "no answer"});
  }
  // What each line says after its level.
  std::vector<std::string> lines() const {
    std::ifstream in(dir_ / "log");
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line.substr(line.find("uploads")));
    return out;
  }

  fs::path dir_;
  SetClock clock;
  OutageLog outage{"uploads", clock};
};

using Lines = std::vector<std::string>;
const std::string kFail = "uploads fail, and are tried again: " + Error{EIO, "no answer"}.to_string();

TEST_F(OutageLogTest, TellsBeginningCountAndEnd) {
  outage.succeeded();
  EXPECT_TRUE(lines().empty());
  fail_times(100);
  EXPECT_EQ(lines(), Lines{kFail});
  clock.at += OutageLog::kPause;
  fail_times(50);
  const Lines lasting{kFail, kFail + " (and 99 failures since the last such line)"};
  EXPECT_EQ(lines(), lasting);
  outage.succeeded();
  outage.succeeded();
  EXPECT_EQ(lines().size(), 3u);
  EXPECT_EQ(lines().back(), "uploads work again, after 49 more failures");
  clock.at += OutageLog::kPause;
  fail_times(1);
  EXPECT_EQ(lines().back(), kFail) << "another one";
}

TEST_F(OutageLogTest, NowAndThenIsNotToldEachTime) {
  for (int i = 0; i < 100; ++i) {
    fail_times(1);
    outage.succeeded();
  }
  EXPECT_EQ(lines(), (Lines{kFail, "uploads work again"}));
  clock.at += OutageLog::kPause;
  fail_times(1);
  EXPECT_EQ(lines().back(), kFail + " (and 99 failures since the last such line)");
}

}  // namespace
}  // namespace cider
