// Parts of tests that run in a process of their own, with threads and without what this one has open: a fork
// of a process that has threads must not start any. For tests only.
#pragma once

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace cider::testing {

// Begins this program once more for one test, which is disabled otherwise ("Suite.DISABLED_Name"). It learns
// what it needs from the environment. The caller waits for it.
inline pid_t start_disabled_test(const std::string& test) {
  // It runs whichever part of the tests this process was given.
  EXPECT_EQ(::unsetenv("GTEST_TOTAL_SHARDS") + ::unsetenv("GTEST_SHARD_INDEX"), 0);
  std::string program = "/proc/self/exe", disabled = "--gtest_also_run_disabled_tests",
              filter = "--gtest_filter=" + test;
  char* argv[] = {program.data(), disabled.data(), filter.data(), nullptr};
  pid_t pid = 0;
  EXPECT_EQ(::posix_spawn(&pid, argv[0], nullptr, nullptr, argv, environ), 0);
  return pid;
}

}  // namespace cider::testing
