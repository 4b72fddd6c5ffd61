#include "object/rate_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "object/testing/stores.h"

namespace cider::object {
namespace {

using testing::chain;

// Goes on by a fixed step each time it is asked, so that waits are counted instead of timed.
class SteppingClock final : public Clock {
 public:
  explicit SteppingClock(Monotonic::duration step) : step_(step) {}
  Time now() const override { return {}; }
  Monotonic::time_point monotonic() const override {
    std::lock_guard lock(mutex_);
    if (const auto asks = std::this_thread::get_id(); asks != asked_last_) {
      asked_last_ = asks;
      turns_++;
    }
    return at_ += step_;
  }
  Millis passed() const {
    std::lock_guard lock(mutex_);
    return std::chrono::duration_cast<Millis>(at_.time_since_epoch());
  }
  // How often another thread has asked than before.
  int turns() const {
    std::lock_guard lock(mutex_);
    return turns_;
  }

 private:
  const Monotonic::duration step_;
  mutable std::mutex mutex_;
  mutable Monotonic::time_point at_;
  mutable std::thread::id asked_last_;
  mutable int turns_ = 0;
};

TEST(RateLimit, TransfersTakeAsLongAsTheRateSays) {
  SteppingClock clock(Millis(20));
  RateLimit limit(8, clock);  // a million bytes a second
  const Millis began = clock.passed();
  ASSERT_TRUE(limit.take(500'000, {}));
  const Millis passed = clock.passed() - began;
  // The last piece and the burst may go ahead of time; each piece may come a step late.
  EXPECT_GE(passed, Millis(500 - 100 - 66));
  EXPECT_LE(passed, Millis(500 + 8 * 20));
}

TEST(RateLimit, NoLimitNeverWaits) {
  RateLimit limit(0);
  EXPECT_TRUE(limit.take(size_t{1} << 40, {}));
}

TEST(RateLimit, LargeTransfersGoOneAfterTheOther) {
  constexpr int kMany = 4;
  SteppingClock clock(std::chrono::microseconds(200));
  RateLimit limit(800, clock);  // a hundred million bytes a second
  const int before = clock.turns();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kMany; i++) threads.emplace_back([&] { EXPECT_TRUE(limit.take(5'000'000, {})); });
  }
  EXPECT_LE(clock.turns() - before, kMany);  // who waits for its next piece asks what time it is
}

TEST(RateLimit, SmallTransfersPassLargeOnesAndDoNotStopThem) {
  RateLimit limit(80);
  std::stop_source stop;
  std::jthread endless(
      [&] { EXPECT_EQ(code_of(limit.take(size_t{1} << 40, stop.get_token())), EINTR); });  // a day's worth
  for (int i = 0; i < 10; i++) EXPECT_TRUE(limit.take(1000, {}));
  stop.request_stop();
  endless.join();

  std::atomic<bool> done{false};
  std::vector<std::jthread> small;
  for (int i = 0; i < 3; i++) {
    small.emplace_back([&] {
      while (!done) EXPECT_TRUE(limit.take(1000, {}));
    });
  }
  EXPECT_TRUE(limit.take(2'000'000, {}));
  done = true;
}

TEST(RateLimit, WaitersCanBeInterruptedAndFollowAChange) {
  RateLimit limit(1);
  limit.count(1'000'000'000);  // two hours' worth
  std::stop_source stop;
  std::jthread interrupter([&] { stop.request_stop(); });
  EXPECT_EQ(code_of(limit.take(1, stop.get_token())), EINTR);
  std::jthread raises([&] { limit.set(0); });
  EXPECT_TRUE(limit.take(1'000'000'000, {}));
  EXPECT_EQ(limit.mbps(), 0);
}

TEST(RateLimit, WhatWasTakenInVainIsGivenBack) {
  SteppingClock clock(Millis(0));  // time stands still
  RateLimit limit(8, clock);
  ASSERT_TRUE(limit.take(1, {}));  // owed from now on
  limit.give_back(1);
  ASSERT_TRUE(limit.take(60'000, {}));
  std::stop_source stop;
  std::jthread interrupter([&] { stop.request_stop(); });
  EXPECT_EQ(code_of(limit.take(1, stop.get_token())), EINTR);
}

TEST(LimitedStore, CountsWhatIsTransferred) {
  auto limits = std::make_shared<RateLimits>();
  auto store = with_limits(*open_store({"mem", ""}), limits);
  const std::string large(300'000, 'x');
  ASSERT_TRUE(store->put("k", chain({large}), {}));
  std::vector<std::byte> out(large.size());
  std::stop_source stopped;
  stopped.request_stop();
  // Who comes next would have to wait, which ends at once; and does not go on to the store.
  const auto uses_up = [&](RateLimit& limit, auto request) {
    limit.set(0);
    limit.set(1);
    EXPECT_TRUE(request("k", std::stop_token()));
    EXPECT_EQ(code_of(limit.take(1, stopped.get_token())), EINTR);
    EXPECT_EQ(code_of(request("none", stopped.get_token())), EINTR);
  };
  uses_up(limits->download, [&](auto key, auto stop) { return store->get(key, 0, out, stop); });
  uses_up(limits->download,
          [&](auto key, auto stop) { return store->get_in_order(key, 0, out, [](size_t) {}, stop); });
  uses_up(limits->download, [&](auto key, auto stop) { return store->get_whole(key, out, stop); });
  uses_up(limits->download, [&](auto key, auto stop) { return store->get_all(key, 1 << 20, stop); });
  uses_up(limits->upload, [&](auto key, auto stop) { return store->put(key, chain({large}), stop); });
}

}  // namespace
}  // namespace cider::object
