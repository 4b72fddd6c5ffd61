// flock and fcntl locks: conflicts, waits, interrupts, deadlocks.
#include <future>
#include <thread>

#include "meta/testing/meta_fixture.h"

namespace cider::meta {
namespace {

CIDER_META_TEST(LocksTest);

constexpr uint64_t kEnd = 0x7FFFFFFFFFFFFFFF;

// A request, and its answer once it comes.
struct Asked {
  std::promise<int> promise;
  std::future<int> answer = promise.get_future();
  std::stop_source interrupt;

  Meta::Done done() {
    return [this](Status s) { promise.set_value(code_of(s)); };
  }
  Caller caller() {
    Caller c;
    c.interrupt = interrupt.get_token();
    return c;
  }
  bool pending() { return answer.wait_for(std::chrono::milliseconds(60)) == std::future_status::timeout; }
};

int flock(Meta& meta, Ino ino, uint64_t owner, LockKind kind) {
  Asked asked;
  meta.flock(Caller{}, ino, owner, kind, false, asked.done());
  return asked.answer.get();
}

int setlk(Meta& meta, Ino ino, uint64_t owner, LockKind kind, uint64_t start = 0, uint64_t end = kEnd) {
  Asked asked;
  meta.setlk(Caller{}, ino, owner, {kind, 77, start, end}, false, asked.done());
  return asked.answer.get();
}

TEST_P(LocksTest, FlocksExcludeEachOther) {
  make();
  Ino file = mkfile("f");
  EXPECT_EQ(flock(a(), file, 1, LockKind::read), 0);
  EXPECT_EQ(flock(b(), file, 1, LockKind::read), 0)
      << "the same owner number on another client is another holder";
  EXPECT_EQ(flock(a(), file, 2, LockKind::write), EAGAIN);
  EXPECT_EQ(flock(a(), file, 1, LockKind::write), EAGAIN);
  EXPECT_EQ(flock(b(), file, 1, LockKind::unlock), 0);
  EXPECT_EQ(flock(a(), file, 1, LockKind::write), 0) << "upgraded";
  EXPECT_EQ(flock(b(), file, 1, LockKind::read), EAGAIN);
  EXPECT_EQ(flock(a(), file, 1, LockKind::read), 0) << "downgraded";
  EXPECT_EQ(flock(b(), file, 1, LockKind::read), 0);
}

TEST_P(LocksTest, RangesAreSplitAndMerged) {
  make();
  Ino file = mkfile("f");
  EXPECT_EQ(setlk(a(), file, 1, LockKind::write, 0, 99), 0);
  EXPECT_EQ(setlk(b(), file, 1, LockKind::read, 50, 50), EAGAIN);
  EXPECT_EQ(setlk(b(), file, 1, LockKind::read, 100, kEnd), 0);
  EXPECT_EQ(setlk(a(), file, 1, LockKind::unlock, 40, 59), 0);
  EXPECT_EQ(setlk(b(), file, 1, LockKind::write, 40, 59), 0);
  PlockRange seen = b().getlk(file, 9, {LockKind::write, 1, 0, 10}).value();
  EXPECT_EQ(seen, (PlockRange{LockKind::write, 0, 0, 39}))
      << "process numbers of other clients mean nothing here";
  seen = a().getlk(file, 9, {LockKind::write, 1, 0, 10}).value();
  EXPECT_EQ(seen.pid, 77u);
  seen = a().getlk(file, 1, {LockKind::write, 1, 0, 10}).value();
  EXPECT_EQ(seen.kind, LockKind::unlock) << "one's own are not in the way";
  EXPECT_EQ(setlk(a(), file, 1, LockKind::unlock), 0);
  EXPECT_EQ(setlk(b(), file, 1, LockKind::unlock), 0);
  EXPECT_TRUE(volume_->dump().lock_sessions.empty());
}

TEST_P(LocksTest, AWaiterGetsItsTurn) {
  make();
  Ino file = mkfile("f");
  for (Meta* other : {&a(), &b()}) {
    ASSERT_EQ(flock(a(), file, 1, LockKind::write), 0);
    Asked waits;
    other->flock(Caller{}, file, 2, LockKind::write, true, waits.done());
    EXPECT_TRUE(waits.pending());
    EXPECT_EQ(flock(a(), file, 1, LockKind::unlock), 0);
    EXPECT_EQ(waits.answer.get(), 0);
    EXPECT_EQ(flock(*other, file, 2, LockKind::unlock), 0);

    ASSERT_EQ(setlk(a(), file, 1, LockKind::write, 0, 10), 0);
    Asked range;
    other->setlk(Caller{}, file, 2, {LockKind::read, 1, 5, 20}, true, range.done());
    EXPECT_TRUE(range.pending());
    EXPECT_EQ(setlk(a(), file, 1, LockKind::read, 0, 10), 0)
        << "a write lock that becomes a read lock lets it in";
    EXPECT_EQ(range.answer.get(), 0);
    EXPECT_EQ(setlk(a(), file, 1, LockKind::unlock), 0);
    EXPECT_EQ(setlk(*other, file, 2, LockKind::unlock), 0);
  }
}

TEST_P(LocksTest, WaitsAreInterrupted) {
  make();
  Ino file = mkfile("f");
  ASSERT_EQ(flock(a(), file, 1, LockKind::write), 0);
  ASSERT_EQ(setlk(a(), file, 1, LockKind::write), 0);
  Asked one, two, late;
  b().flock(one.caller(), file, 2, LockKind::write, true, one.done());
  b().setlk(two.caller(), file, 2, {LockKind::write, 1, 0, 1}, true, two.done());
  EXPECT_TRUE(one.pending());
  one.interrupt.request_stop();
  two.interrupt.request_stop();
  EXPECT_EQ(one.answer.get(), EINTR);
  EXPECT_EQ(two.answer.get(), EINTR);
  late.interrupt.request_stop();
  b().flock(late.caller(), file, 2, LockKind::write, true, late.done());
  EXPECT_EQ(late.answer.get(), EINTR);
  EXPECT_EQ(setlk(a(), file, 1, LockKind::unlock), 0);
  EXPECT_EQ(setlk(b(), file, 3, LockKind::write), 0) << "nothing is left of the interrupted wait";
}

TEST_P(LocksTest, StopEndsWaits) {
  make();
  Ino file = mkfile("f");
  ASSERT_EQ(flock(a(), file, 1, LockKind::write), 0);
  Asked waits;
  b().flock(Caller{}, file, 2, LockKind::write, true, waits.done());
  EXPECT_TRUE(waits.pending());
  b().stop();
  EXPECT_EQ(waits.answer.get(), EINTR);
}

TEST_P(LocksTest, DeadlocksAreAnsweredAcrossClients) {
  make();
  Ino x = mkfile("x"), y = mkfile("y"), z = mkfile("z");
  ASSERT_EQ(setlk(a(), x, 1, LockKind::write), 0);
  ASSERT_EQ(setlk(b(), y, 2, LockKind::write), 0);
  ASSERT_EQ(setlk(a(), z, 3, LockKind::write), 0);
  Asked first, second, third;
  a().setlk(Caller{}, y, 1, {LockKind::write, 1, 0, 1}, true, first.done());
  EXPECT_TRUE(first.pending());
  b().setlk(Caller{}, z, 2, {LockKind::read, 1, 0, 1}, true, second.done());
  EXPECT_TRUE(second.pending());
  a().setlk(Caller{}, x, 3, {LockKind::write, 1, 0, 1}, true, third.done());
  EXPECT_EQ(third.answer.get(), EDEADLK);
  EXPECT_EQ(setlk(a(), z, 3, LockKind::unlock), 0);
  EXPECT_EQ(second.answer.get(), 0);
  EXPECT_EQ(setlk(b(), y, 2, LockKind::unlock), 0);
  EXPECT_EQ(first.answer.get(), 0);
}

// Both waits begin at the same time, so that neither sees the other's: one of them must still be answered,
// and only one.
TEST_P(LocksTest, DeadlocksThatCloseAtOnceAreAnsweredToo) {
  make();
  Ino x = mkfile("x"), y = mkfile("y");
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(setlk(a(), x, 1, LockKind::write), 0);
    ASSERT_EQ(setlk(b(), y, 2, LockKind::write), 0);
    Asked one, two;
    std::jthread first([&] { a().setlk(Caller{}, y, 1, {LockKind::write, 1, 0, kEnd}, true, one.done()); });
    std::jthread second([&] { b().setlk(Caller{}, x, 2, {LockKind::write, 1, 0, kEnd}, true, two.done()); });
    first.join();
    second.join();
    while (one.pending() && two.pending()) {
    }
    Asked& refused = one.pending() ? two : one;
    Asked& waits = &refused == &one ? two : one;
    EXPECT_EQ(refused.answer.get(), EDEADLK);
    EXPECT_EQ(&refused == &one ? setlk(a(), x, 1, LockKind::unlock) : setlk(b(), y, 2, LockKind::unlock), 0);
    EXPECT_EQ(waits.answer.get(), 0);
    for (Ino ino : {x, y}) {
      EXPECT_EQ(setlk(a(), ino, 1, LockKind::unlock), 0);
      EXPECT_EQ(setlk(b(), ino, 2, LockKind::unlock), 0);
    }
  }
}

TEST_P(LocksTest, ManyWaitersAllGetTheirTurnOneAtATime) {
  make();
  Ino file = mkfile("f");
  constexpr int kWaiters = 60;
  std::atomic<int> inside{0};
  std::atomic<int> served{0};
  ASSERT_EQ(flock(a(), file, 1000, LockKind::write), 0);
  std::vector<std::jthread> threads;
  for (int i = 0; i < kWaiters; ++i) {
    threads.emplace_back([&, i] {
      Meta& meta = volume_->client(i % 2);
      Asked asked;
      meta.flock(Caller{}, file, i, LockKind::write, true, asked.done());
      EXPECT_EQ(asked.answer.get(), 0);
      EXPECT_EQ(++inside, 1);
      --inside;
      ++served;
      EXPECT_EQ(flock(meta, file, i, LockKind::unlock), 0);
    });
  }
  EXPECT_EQ(flock(a(), file, 1000, LockKind::unlock), 0);
  threads.clear();
  EXPECT_EQ(served, kWaiters);
}

TEST_P(LocksTest, WhoWaitsIsNotOvertakenByLaterOnesOfItsClient) {
  make();
  Ino file = mkfile("f");
  ASSERT_EQ(flock(a(), file, 1, LockKind::write), 0);
  std::mutex mutex;
  std::vector<int> order;
  std::vector<std::promise<void>> got(5);
  for (int i = 0; i < 5; ++i) {
    a().flock(Caller{}, file, 10 + i, LockKind::write, true, [&, i](Status s) {
      EXPECT_TRUE(s);
      {
        std::lock_guard lock(mutex);
        order.push_back(i);
      }
      got[i].set_value();
    });
  }
  EXPECT_EQ(flock(a(), file, 1, LockKind::unlock), 0);
  for (int i = 0; i < 5; ++i) {
    got[i].get_future().wait();
    EXPECT_EQ(flock(a(), file, 10 + i, LockKind::unlock), 0);
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace cider::meta
