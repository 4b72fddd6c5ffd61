#include "fuse/eager_wait.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "base/unique_fd.h"

namespace cider::fuse {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class EagerWaitTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "on one processor nobody looks";
    ASSERT_TRUE(device_);
  }

  void request() { ASSERT_EQ(::eventfd_write(device_.get(), 1), 0); }
  void answer() {
    eventfd_t value;
    ASSERT_EQ(::eventfd_read(device_.get(), &value), 0);
  }

  UniqueFd device_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

TEST_F(EagerWaitTest, EndsWithTheRequest) {
  EagerWait wait(seconds(60));
  const auto begin = Clock::now();
  std::jthread client([&] {
    std::this_thread::sleep_for(milliseconds(20));
    request();
  });
  wait.look(device_.get());
  EXPECT_GE(Clock::now() - begin, milliseconds(20));
  EXPECT_LT(Clock::now() - begin, seconds(30));
}

TEST_F(EagerWaitTest, EndsWithoutOne) {
  EagerWait wait(milliseconds(20));
  const auto begin = Clock::now();
  wait.look(device_.get());
  EXPECT_GE(Clock::now() - begin, milliseconds(20));
}

TEST_F(EagerWaitTest, LooksRarelyWhereNothingComes) {
  EagerWait wait(microseconds(1));
  for (int i = 0; i < 6400; ++i) wait.look(device_.get());
  EXPECT_GE(wait.looks(), 6400U / 64);
  EXPECT_LE(wait.looks(), 6400U / 64 + 6);
}

TEST_F(EagerWaitTest, LooksEachTimeAgainOnceRequestsComeFast) {
  EagerWait wait(microseconds(1));
  for (int i = 0; i < 640; ++i) wait.look(device_.get());
  request();
  for (int i = 0; i < 64; ++i) wait.look(device_.get());  // one of these finds it
  const unsigned before = wait.looks();
  for (int i = 0; i < 100; ++i) wait.look(device_.get());
  EXPECT_EQ(wait.looks(), before + 100);
  answer();
}

TEST_F(EagerWaitTest, OneThreadLooksTheOthersDoNotWait) {
  EagerWait wait(seconds(60));
  std::jthread first([&] { wait.look(device_.get()); });
  while (wait.looks() == 0) std::this_thread::yield();
  const auto begin = Clock::now();
  wait.look(device_.get());
  EXPECT_LT(Clock::now() - begin, seconds(30));
  EXPECT_EQ(wait.looks(), 1U);
  request();
}

TEST_F(EagerWaitTest, NeverLooksWhereItIsOff) {
  EagerWait wait(microseconds(0));
  wait.look(device_.get());
  EXPECT_EQ(wait.looks(), 0U);
}

}  // namespace
}  // namespace cider::fuse
