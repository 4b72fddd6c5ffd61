#include "object/rate_limit.h"

#include <gtest/gtest.h>

#include <thread>

#include "object/testing/stores.h"

namespace cider::object {
namespace {

using testing::chain;

// Goes on by a fixed step each time it is asked, so that waits are counted instead of timed.
class SteppingClock final : public Clock {
 public:
  explicit SteppingClock(Millis step) : step_(step) {}
  Time now() const override { return {}; }
  Monotonic::time_point monotonic() const override { return at_ += step_; }
  Millis passed() const { return std::chrono::duration_cast<Millis>(at_.time_since_epoch()); }

 private:
  const Millis step_;
  mutable Monotonic::time_point at_;
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
