#include "base/slow_lock.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace cider {
namespace {

TEST(SlowLock, IsHeldByOneAtATime) {
  SlowLock lock;
  int inside = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        const auto guard = lock.lock({});
        ASSERT_TRUE(guard);
        EXPECT_EQ(inside++, 0);
        --inside;
      }
    });
  }
}

TEST(SlowLock, WhoWaitsCanBeInterrupted) {
  SlowLock lock;
  std::stop_source stop;
  auto guard = std::optional(*lock.lock({}));
  auto waiting = std::async(std::launch::async, [&] { return code_of(lock.lock(stop.get_token())); });
  stop.request_stop();
  EXPECT_EQ(waiting.get(), EINTR);
  guard.reset();
  EXPECT_TRUE(lock.lock({}));
}

}  // namespace
}  // namespace cider
