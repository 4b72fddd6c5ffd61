#include "base/scratch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace cider {
namespace {

constexpr size_t kMiB = 1 << 20;

TEST(Scratch, CountsInTheBudget) {
  MemoryBudget budget(10 * kMiB);
  Scratch scratch(&budget, kMiB);
  {
    Buffer taken = *scratch.take(2 * kMiB, {});
    EXPECT_EQ(taken.size(), 2 * kMiB);
    EXPECT_EQ(budget.used(), 2 * kMiB);
    EXPECT_EQ(scratch.used(), 2 * kMiB);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(Scratch, ShrinksToWhatIsNeeded) {
  MemoryBudget budget(10 * kMiB);
  Scratch scratch(&budget, kMiB);
  Buffer taken = *scratch.take(2 * kMiB, {});
  taken.mutable_data()[4999] = std::byte{7};
  Buffer small = scratch.shrink(std::move(taken), 5000);
  taken = {};
  EXPECT_EQ(small.size(), 5000u);
  EXPECT_EQ(small.data()[4999], std::byte{7});
  EXPECT_EQ(budget.used(), 8192u);
  Buffer large = *scratch.take(kMiB, {});
  const std::byte* memory = large.data();
  EXPECT_EQ(scratch.shrink(large, kMiB - 1).data(), memory);  // not worth a copy
}

// With the budget full, the floor is still there, and one piece of any size.
TEST(Scratch, FloorCantBeTakenAway) {
  MemoryBudget budget(10 * kMiB);
  budget.charge(20 * kMiB);
  Scratch scratch(&budget, 3 * kMiB);
  std::stop_source stopped;
  stopped.request_stop();
  {
    Buffer first = *scratch.take(kMiB, {});
    Buffer second = *scratch.take(2 * kMiB, {});
    EXPECT_EQ(code_of(scratch.take(kMiB, stopped.get_token())), EINTR);
  }
  Buffer large = *scratch.take(5 * kMiB, {});
  EXPECT_EQ(code_of(scratch.take(kMiB, stopped.get_token())), EINTR);
  large = {};
  budget.release(20 * kMiB);
}

TEST(Scratch, WaitsUntilThereIsRoom) {
  MemoryBudget budget(4 * kMiB);
  Scratch scratch(&budget, kMiB);
  Buffer first = *scratch.take(3 * kMiB, {});
  std::atomic<bool> got = false;
  std::thread waiter([&] {
    Buffer second = *scratch.take(2 * kMiB, {});
    got = true;
    EXPECT_LE(budget.used(), budget.limit());
  });
  std::this_thread::yield();
  EXPECT_FALSE(got);
  first = {};
  waiter.join();
  EXPECT_TRUE(got);
}

// Asking and taking are one step: threads together take no more than is there.
TEST(Scratch, NeverOverdrawn) {
  MemoryBudget budget(4 * kMiB);
  Scratch scratch(&budget, kMiB);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; n++) {
        Buffer taken = *scratch.take(kMiB, {});
        EXPECT_LE(budget.used(), budget.limit());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used(), 0u);
}

TEST(Scratch, WithoutBudgetThereIsNoLimit) {
  Scratch scratch(nullptr, 0);
  Buffer first = *scratch.take(kMiB, {});
  Buffer second = *scratch.take(kMiB, {});
  EXPECT_EQ(scratch.used(), 0u);
}

}  // namespace
}  // namespace cider
