// Memory that threads keep, also while they end.
#include "base/recycled.h"

#include <gtest/gtest.h>

#include <thread>

namespace cider {
namespace {

using Spare = SpareMemory<72>;  // of no other test

TEST(Recycled, WhatWasGivenIsTakenAgain) {
  void* const first = Spare::take();
  void* const second = Spare::take();
  EXPECT_NE(first, second);
  Spare::give(first);
  Spare::give(second);
  EXPECT_EQ(Spare::take(), second);
  EXPECT_EQ(Spare::take(), first);
  Spare::give(first);
  Spare::give(second);
}

// Made before the thread's spares, so that it goes after them.
struct Late {
  ~Late() {
    if (!active) return;
    Spare::give(last);
    void* const fresh = Spare::take();
    EXPECT_NE(fresh, kept) << "that one was freed with the spares";
    ::operator delete(fresh);
  }
  bool active = false;
  void* last = nullptr;
  void* kept = nullptr;
};
thread_local Late late;

TEST(Recycled, AnObjectThatGoesAfterTheSparesMayStillTakeAndGive) {
  std::thread([] {
    late.active = true;
    late.last = Spare::take();
    late.kept = Spare::take();
    Spare::give(late.kept);
  }).join();
}

}  // namespace
}  // namespace cider
