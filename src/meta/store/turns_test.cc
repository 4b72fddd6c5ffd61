// Callers that take turns, whether they sleep at once or look for their turn first.
#include "meta/store/turns.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace cider::meta {
namespace {

struct Request : Waiter {
  using Waiter::Waiter;
};

class TurnQueueTest : public ::testing::TestWithParam<bool> {
 protected:
  TurnQueue<Request> queue_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Brief, TurnQueueTest, ::testing::Bool());

TEST_P(TurnQueueTest, EachIsServedOnceByOneAtATime) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  size_t served = 0;  // no two lead at once
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kEach; ++i) {
          Request request{std::stop_token()};
          request.answer = fail(EIO);
          queue_.run(&request, [&] {
            auto taken = queue_.take(3);
            served += taken.size();
            const Status done;
            queue_.answer_all(taken, &done);
          });
          EXPECT_TRUE(request.answer);
        }
      });
    }
  }
  EXPECT_EQ(served, size_t{kThreads} * kEach);
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_P(TurnQueueTest, WhoIsInterruptedBeforeHisTurnLeaves) {
  std::promise<void> leads, go_on;
  std::jthread leader([&] {
    Request request{std::stop_token()};
    queue_.run(&request, [&] {
      auto taken = queue_.take(1);
      leads.set_value();
      go_on.get_future().wait();
      const Status done;
      queue_.answer_all(taken, &done);
    });
    EXPECT_TRUE(request.answer);
  });
  leads.get_future().wait();
  std::stop_source stop;
  std::jthread other([&] {
    Request request{stop.get_token()};
    queue_.run(&request, [] { ADD_FAILURE() << "it has no turn"; });
    EXPECT_EQ(code_of(request.answer), EINTR);
  });
  while (queue_.size() == 0) std::this_thread::yield();
  stop.request_stop();
  other.join();
  go_on.set_value();
}

}  // namespace
}  // namespace cider::meta
