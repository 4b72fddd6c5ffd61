#include "cli/daemon.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/testing/fixtures.h"
#include "object/testing/temp_dir.h"

namespace cider::cli {
namespace {

namespace fs = std::filesystem;
using cider::testing::read_file;

class DaemonTest : public ::testing::Test {
 protected:
  const object::testing::TempDir temporary_;
  const fs::path folder_ = fs::canonical(temporary_.path());
  const std::string log_ = folder_ / "log";
};

TEST_F(DaemonTest, HoldsNothingThatItsCallerHasOpen) {
  const std::string held = folder_ / "lock";
  const int inherited = ::open(held.c_str(), O_RDWR | O_CREAT, 0600);
  const int own = ::open(held.c_str(), O_RDWR | O_CLOEXEC);
  const fs::path seen = folder_ / "seen";
  Status done = run_in_background(log_, [&](StartReport& report) {
    std::string found;
    if (::fcntl(inherited, F_GETFD) < 0) found += " too early;";  // a setting may name it
    if (fs::read_symlink("/proc/self/fd/1") != log_) found += " another output;";
    if (::getsid(0) != ::getpid()) found += " another's session;";
    report.ready();
    if (::fcntl(inherited, F_GETFD) >= 0) found += " the caller's file;";
    if (::fcntl(own, F_GETFD) < 0) found += " nothing of its own;";
    std::ofstream(seen.string() + ".new") << found;
    fs::rename(seen.string() + ".new", seen);
    return 0;
  });
  EXPECT_TRUE(done) << done.error().to_string();
  for (int i = 0; i < 1000 && !fs::exists(seen); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(fs::exists(seen));
  EXPECT_EQ(read_file(seen), "");
  ::close(inherited);
  ::close(own);
}

TEST_F(DaemonTest, SaysWhyItHasNotStarted) {
  Status failed = run_in_background(log_, [](StartReport& report) {
    report.failed("no such volume");
    return 1;
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "no such volume");

  Status gone = run_in_background(log_, [](StartReport&) {
    (void)!::write(STDERR_FILENO, "last words\n", 11);
    return 3;
  });
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message.find("exited with 3"), std::string::npos) << gone.error().message;
  EXPECT_NE(gone.error().message.find(log_), std::string::npos);
  EXPECT_EQ(read_file(log_), "last words\n");

  Status unwritable = run_in_background(folder_ / "none" / "deeper" / "log", [](StartReport&) { return 0; });
  ASSERT_FALSE(unwritable);
  EXPECT_NE(unwritable.error().message.find("--log"), std::string::npos);
}

}  // namespace
}  // namespace cider::cli
