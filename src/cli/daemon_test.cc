#include "cli/daemon.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace cider::cli {
namespace {

namespace fs = std::filesystem;

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() {
    std::string name = fs::temp_directory_path() / "cider_daemon_XXXXXX";
    folder_ = fs::canonical(::mkdtemp(name.data()));
    log_ = folder_ / "log";
  }
  ~DaemonTest() override { fs::remove_all(folder_); }

  std::string logged() const {
    std::ostringstream text;
    text << std::ifstream(log_).rdbuf();
    return text.str();
  }

  fs::path folder_;
  std::string log_;
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
  std::ostringstream found;
  found << std::ifstream(seen).rdbuf();
  EXPECT_TRUE(fs::exists(seen));
  EXPECT_EQ(found.str(), "");
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
  EXPECT_EQ(logged(), "last words\n");

  Status unwritable = run_in_background(folder_ / "none" / "deeper" / "log", [](StartReport&) { return 0; });
  ASSERT_FALSE(unwritable);
  EXPECT_NE(unwritable.error().message.find("--log"), std::string::npos);
}

}  // namespace
}  // namespace cider::cli
