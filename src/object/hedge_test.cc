#include "object/hedge.h"

#include <gtest/gtest.h>

#include <thread>

#include "object/testing/faulty_store.h"
#include "object/testing/stores.h"

namespace cider::object {
namespace {

using testing::chain;
using testing::FaultyStore;
using Op = FaultyStore::Op;
using Verdict = FaultyStore::Verdict;

// Far longer than a request of the store in memory takes, on a busy machine too.
constexpr Millis kLate{250};
constexpr int kKnown = 64;  // requests before the first that is slow
const std::string kValue(100'000, 'v');

class HedgeTest : public ::testing::Test {
 protected:
  void open(HedgeOptions options) {
    auto faulty = std::make_unique<FaultyStore>(*open_store({"mem", ""}));
    inner_ = faulty.get();
    store_ = with_hedging(std::move(faulty), budget_, options, metrics_);
    ASSERT_TRUE(store_->put("k", chain({kValue}), {}));
    for (int i = 0; i < kKnown; i++) ASSERT_TRUE(get());
    ASSERT_EQ(inner_->calls(Op::get), kKnown);
  }
  void SetUp() override { open({.least = kLate}); }

  // The slow request, and what shall become of the one after it.
  void slow(Verdict first, Verdict second = {}) {
    inner_->set_rule([=](const FaultyStore::Call& call) {
      if (call.op != Op::get) return Verdict{};
      return call.n == kKnown ? first : call.n == kKnown + 1 ? second : Verdict{};
    });
  }

  Status get() {
    announced_.clear();
    bytes_.assign(kValue.size(), '?');
    return store_->get_in_order("k", 0, std::as_writable_bytes(std::span(bytes_)),
                                [&](size_t n) { announced_.push_back(n); }, {});
  }
  double hedged() { return metrics_.counter("object_request_hedged").value(); }

  MetricSet metrics_;
  MemoryBudget budget_{1 << 20};
  FaultyStore* inner_ = nullptr;
  std::unique_ptr<ObjectStore> store_;
  std::string bytes_;
  std::vector<size_t> announced_;
};

TEST_F(HedgeTest, ASlowRequestIsSentTwiceAndTheFirstIsInterrupted) {
  slow({.hang = true});
  ASSERT_TRUE(get());
  EXPECT_EQ(bytes_, kValue);
  EXPECT_EQ(announced_, std::vector<size_t>{kValue.size()});
  EXPECT_EQ(inner_->calls(Op::get), kKnown + 2);
  EXPECT_EQ(inner_->hanging(), 0);
  EXPECT_EQ(hedged(), 1);
  store_.reset();
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(HedgeTest, WhoWasInterruptedMeanwhileDoesNotWait) {
  slow({.hang = true}, {.hang = true});
  std::stop_source stop;
  std::jthread interrupter([&] {
    while (inner_->hanging() < 2) std::this_thread::yield();
    stop.request_stop();
  });
  std::string bytes(10, '?');
  EXPECT_EQ(code_of(store_->get("k", 0, std::as_writable_bytes(std::span(bytes)), stop.get_token())), EINTR);
}

TEST_F(HedgeTest, WhatHasBegunToArriveIsNotSentTwice) {
  slow({.delay = Millis(0), .hang = true, .first = 10});
  std::jthread later([&] {
    while (inner_->hanging() == 0) std::this_thread::yield();
    std::this_thread::sleep_for(2 * kLate);  // more than a request takes to be slow
    inner_->release();
  });
  ASSERT_TRUE(get());
  EXPECT_EQ(inner_->calls(Op::get), kKnown + 1);
  EXPECT_EQ(announced_, (std::vector<size_t>{10, kValue.size()}));
}

TEST_F(HedgeTest, TheFirstWinsWhenTheSecondIsSlowerStill) {
  slow({.hang = true}, {.hang = true});
  std::jthread later([&] {
    while (inner_->hanging() < 2) std::this_thread::yield();
    inner_->set_rule(nullptr);
    inner_->release();  // both go on; either may win
  });
  ASSERT_TRUE(get());
  EXPECT_EQ(bytes_, kValue);
  EXPECT_EQ(announced_.back(), kValue.size());
}

TEST_F(HedgeTest, FailuresOfOneAreMadeUpForByTheOther) {
  slow({.code = EIO, .delay = 2 * kLate}, {.delay = 3 * kLate});
  EXPECT_TRUE(get());  // the first fails while the second is under way
  EXPECT_EQ(bytes_, kValue);

  open({.least = kLate});
  slow({.delay = 2 * kLate}, {.code = EIO});
  EXPECT_TRUE(get());  // the second fails
  EXPECT_EQ(bytes_, kValue);

  open({.least = kLate});
  slow({.code = ENOENT, .delay = 2 * kLate}, {.hang = true});
  EXPECT_EQ(code_of(get()), ENOENT);  // another answer would not be better
}

TEST_F(HedgeTest, TheSecondThatBreaksOffIsAnError) {
  slow({.hang = true}, {.code = EIO, .first = 10});
  EXPECT_EQ(code_of(get()), EIO);
  EXPECT_EQ(announced_, std::vector<size_t>{10});
  EXPECT_EQ(bytes_.substr(0, 11), std::string(10, 'v') + "?");
}

TEST_F(HedgeTest, WholeObjectsToo) {
  std::vector<std::byte> out(kValue.size() + 100);
  for (int i = 0; i < kKnown; i++) ASSERT_EQ(*store_->get_whole("k", out, {}), kValue.size());
  inner_->set_rule([](const FaultyStore::Call& call) {
    return Verdict{.hang = call.op == Op::get && call.n == 2 * kKnown};
  });
  out.assign(out.size(), std::byte{0});
  EXPECT_EQ(*store_->get_whole("k", out, {}), kValue.size());
  EXPECT_EQ(out[kValue.size() - 1], std::byte{'v'});
  EXPECT_EQ(inner_->calls(Op::get), 2 * kKnown + 2);
}

// The slow request ends by itself, as nothing else would end it.
void end_when_seen(FaultyStore& inner) {
  while (inner.hanging() == 0) std::this_thread::yield();
  std::this_thread::sleep_for(2 * kLate);
  inner.release();
}

TEST_F(HedgeTest, NotAfterTheStoreAskedToSlowDown) {
  inner_->set_rule(
      [](const FaultyStore::Call& call) { return Verdict{.code = call.op == Op::put ? EAGAIN : 0}; });
  EXPECT_EQ(code_of(store_->put("other", chain({"x"}), {})), EAGAIN);
  slow({.hang = true});
  std::jthread later([&] { end_when_seen(*inner_); });
  EXPECT_TRUE(get());
  EXPECT_EQ(hedged(), 0);
}

TEST_F(HedgeTest, NotBeyondTheShareOfRequests) {
  open({.least = kLate, .share = 0.01});
  slow({.hang = true});
  std::jthread later([&] { end_when_seen(*inner_); });
  EXPECT_TRUE(get());
  EXPECT_EQ(hedged(), 0);
}

TEST_F(HedgeTest, NotWithoutMemoryForIt) {
  budget_.charge(budget_.limit());
  slow({.hang = true});
  std::jthread later([&] { end_when_seen(*inner_); });
  EXPECT_TRUE(get());
  EXPECT_EQ(hedged(), 0);
  budget_.release(budget_.limit());
}

}  // namespace
}  // namespace cider::object
