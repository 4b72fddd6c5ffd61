// A mount for tests, with a file system in memory behind it, over each way in which requests may come.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/budget.h"
#include "fuse/session.h"
#include "fuse/testing/memory_fs.h"

namespace cider::fuse::testing {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

inline bool eventually(const std::function<bool()>& condition, milliseconds limit = milliseconds(10'000)) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

enum class Way { device, rings };

inline void PrintTo(Way way, std::ostream* out) {
  *out << (way == Way::rings ? "io_uring" : "device");
}

class SessionTest : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (::access("/dev/fuse", R_OK | W_OK) != 0 || ::geteuid() != 0) {
      GTEST_SKIP() << "needs root and a usable /dev/fuse: the real-mount tests were not run";
    }
    if (rings() && !slurp("/sys/module/fuse/parameters/enable_uring").starts_with("Y")) {
      GTEST_SKIP() << "the kernel offers no FUSE over io_uring: not run over it";
    }
    std::string pattern = fs::temp_directory_path() / "cider-fuse-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }

  void TearDown() override {
    session_.reset();
    if (dir_.empty()) return;
    EXPECT_EQ(::rmdir(dir_.c_str()), 0) << "still mounted?";
  }

  static bool rings() { return GetParam() == Way::rings; }

  // Of those that handlers may block.
  void limit_threads(unsigned limit) {
    transport_.max_threads = limit;
    rings_.max_busy = limit;
  }

  void start(const FuseOptions& options = {}, const std::vector<std::string>& words = {}) {
    SessionOptions all;
    all.mount = {.mountpoint = dir_, .source = "CiderFS:test", .flags = *parse_mount_words(words)};
    all.fuse = options;
    all.fuse.io_uring = rings();
    all.rings = rings_;
    all.transport = transport_;
    all.transport.budget = &budget_;
    auto started = Session::start(memory_, all);
    ASSERT_TRUE(started) << started.error().to_string();
    session_ = std::move(*started);
  }

  // Runs `body` in a process of its own, so that it can be killed; it exits with 0 when `body` returns true.
  // It must not keep /dev/fuse open, or the mount would outlive its server.
  pid_t child(const std::function<bool()>& body) {
    pid_t pid = ::fork();
    if (pid == 0) {
      ::close_range(3, ~0U, 0);
      ::_exit(body() ? 0 : 1);
    }
    return pid;
  }
  static int wait_exit(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
  }
  // So many readers, each a process, that wait until they are killed.
  void block_and_kill(int count, const std::function<void()>& meanwhile) {
    std::ofstream(dir_ / "blocked") << "x";
    const int before = memory_.interrupted;
    std::vector<pid_t> readers;
    for (int i = 0; i < count; ++i) {
      readers.push_back(child([&] {
        int fd = ::open((dir_ / "blocked").c_str(), O_RDONLY | O_DIRECT);
        alignas(4096) static char block[4096];
        return ::read(fd, block, sizeof block) < 0;
      }));
    }
    EXPECT_TRUE(eventually([&] { return memory_.blocked_reads == count; })) << memory_.blocked_reads;
    meanwhile();
    for (pid_t pid : readers) ::kill(pid, SIGKILL);
    for (pid_t pid : readers) EXPECT_TRUE(WIFSIGNALED(wait_exit(pid)));
    EXPECT_TRUE(eventually([&] { return memory_.interrupted == before + count; }));
  }

  DevTransportOptions transport_;
  RingOptions rings_;
  MemoryBudget budget_{100 << 20};
  MemoryFs memory_;
  fs::path dir_;
  std::unique_ptr<Session> session_;
};

}  // namespace cider::fuse::testing
