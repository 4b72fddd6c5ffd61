#include "object/retry.h"

#include <gtest/gtest.h>

#include <thread>

#include "object/testing/faulty_store.h"
#include "object/testing/stores.h"
#include "object/timeouts.h"

namespace cider::object {
namespace {

using testing::chain;
using testing::FaultyStore;
using Op = FaultyStore::Op;
using Verdict = FaultyStore::Verdict;

struct Setup {
  FaultyStore* inner;
  std::unique_ptr<ObjectStore> store;
};

Setup retrying(RetryPolicy policy) {
  auto faulty = std::make_unique<FaultyStore>(*open_store({"mem", ""}));
  FaultyStore* inner = faulty.get();
  EXPECT_TRUE(inner->put("k", chain({"value"}), {}));
  return {inner, with_retries(std::move(faulty), policy)};
}

RetryPolicy quick() {
  RetryPolicy policy;
  policy.reads.tries = policy.puts.tries = 4;
  policy.first_pause = policy.slow_down_pause = Millis(1);
  return policy;
}

FaultyStore::Rule fails(int times, int code) {
  return [=](const FaultyStore::Call& call) { return Verdict{.code = call.n < times ? code : 0}; };
}

TEST(Retries, WhatMayPassIsTriedAgain) {
  for (int code : {EIO, EAGAIN, ETIMEDOUT, ECONNREFUSED}) {
    auto [inner, store] = retrying(quick());
    inner->set_rule(fails(3, code));
    std::array<std::byte, 5> out;
    EXPECT_TRUE(store->head("k"));
    EXPECT_TRUE(store->list("", "", 10));
    EXPECT_TRUE(store->remove("other"));
    EXPECT_TRUE(store->get("k", 0, out, {}));
    EXPECT_EQ(inner->calls(Op::get), 4);
    EXPECT_EQ(inner->calls(Op::head), 4);
    EXPECT_EQ(inner->calls(Op::list), 4);
    EXPECT_EQ(inner->calls(Op::remove), 4);
  }
}

TEST(Retries, WhatWasRefusedIsNot) {
  for (int code : {ENOENT, EACCES, EINVAL, EINTR, ENOSPC, EFBIG, ENOTSUP}) {
    auto [inner, store] = retrying(quick());
    inner->set_rule(fails(1, code));
    EXPECT_EQ(code_of(store->head("k")), code);
    EXPECT_EQ(code_of(store->get_all("k", 10, {})), code);
    EXPECT_EQ(inner->calls(Op::head), 1);
    EXPECT_EQ(inner->calls(Op::get), 1);
  }
}

TEST(Retries, ReadsAndPutsOfDataAreLeftToTheDataPath) {
  RetryPolicy policy;
  policy.first_pause = Millis(1);
  auto [inner, store] = retrying(policy);
  inner->set_rule(fails(2, EIO));
  std::array<std::byte, 5> out;
  EXPECT_EQ(code_of(store->get("k", 0, out, {})), EIO);
  EXPECT_EQ(code_of(store->put("k", chain({"x"}), {})), EIO);
  EXPECT_EQ(code_of(store->check_bucket()), EIO);
  EXPECT_EQ(code_of(store->create()), EIO);
  EXPECT_EQ(inner->calls(Op::get), 1);
  EXPECT_EQ(inner->calls(Op::put), 2);  // with the one before
}

TEST(Retries, EndWithTheLastTryTheDeadlineOrTheStopRequest) {
  RetryPolicy policy = quick();
  {
    auto [inner, store] = retrying(policy);
    inner->set_rule(fails(1000, EIO));
    EXPECT_EQ(code_of(store->head("k")), EIO);
    EXPECT_EQ(inner->calls(Op::head), 5);
  }
  policy.reads = {.tries = 1000, .deadline = Millis(3'600'000)};
  policy.first_pause = Millis(3'600'000);
  {
    auto [inner, store] = retrying(policy);
    inner->set_rule(fails(1000, EIO));
    std::stop_source stop;
    std::jthread interrupter([&, inner = inner] {
      while (inner->calls(Op::get) == 0) std::this_thread::yield();
      stop.request_stop();
    });
    std::array<std::byte, 5> out;
    EXPECT_EQ(code_of(store->get("k", 0, out, stop.get_token())), EINTR);
  }
  policy.reads.deadline = Millis(1000);  // less than the pause
  auto [inner, store] = retrying(policy);
  inner->set_rule(fails(1000, EIO));
  std::array<std::byte, 5> out;
  EXPECT_EQ(code_of(store->get("k", 0, out, {})), EIO);
  EXPECT_EQ(inner->calls(Op::get), 1);
}

TEST(Retries, WhatArrivedIsAnnouncedOnce) {
  auto [inner, store] = retrying(quick());
  inner->set_rule([](const FaultyStore::Call& call) {
    return Verdict{.code = call.n < 2 ? EIO : 0, .first = call.n == 0 ? 3u : 2u};
  });
  std::array<std::byte, 5> out;
  std::vector<size_t> announced;
  EXPECT_TRUE(store->get_in_order("k", 0, out, [&](size_t bytes) { announced.push_back(bytes); }, {}));
  EXPECT_EQ(announced, (std::vector<size_t>{3, 5}));
}

TEST(Timeouts, ARequestThatHangsEnds) {
  auto faulty = std::make_unique<FaultyStore>(*open_store({"mem", ""}));
  FaultyStore& inner = *faulty;
  auto store = with_timeouts(std::move(faulty), {.get = Millis(20), .put = Millis(20)});
  ASSERT_TRUE(store->put("k", chain({"value"}), {}));
  inner.set_rule([](const FaultyStore::Call&) { return Verdict{.hang = true}; });
  std::array<std::byte, 5> out;
  EXPECT_EQ(code_of(store->get("k", 0, out, {})), ETIMEDOUT);
  EXPECT_EQ(code_of(store->put("k", chain({"x"}), {})), ETIMEDOUT);
  EXPECT_EQ(code_of(store->get_whole("k", out, {})), ETIMEDOUT);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of(store->get("k", 0, out, stop.get_token())), EINTR);
  inner.release();
  EXPECT_TRUE(store->get("k", 0, out, {}));
}

}  // namespace
}  // namespace cider::object
