// How many PUTs the lane makes of the files of some writers, in a time that is only counted.
#include "chunk/pack_lane.h"

#include <gtest/gtest.h>

#include <map>

namespace cider::chunk {
namespace {

using namespace std::chrono_literals;
using Time = Monotonic::time_point;
using Lane = PackLane<int>;

// Writers that each store one file after the other: the next comes a little after the one before is stored.
class Simulation {
 public:
  Simulation(int writers, Monotonic::duration put_time, uint64_t file)
      : lane_({2 << 20, 128}), put_time_(put_time), file_(file) {
    for (int w = 0; w < writers; ++w) arrivals_.emplace(at(w * 10us), w);
  }

  void run(int files) {
    while (stored_ < files) {
      step();
      while (true) {
        const std::vector<int> pack = lane_.take(now_);
        if (pack.empty()) break;
        ++puts;
        most_at_once = std::max(most_at_once, lane_.puts());
        ends_.emplace(now_ + put_time_, pack);
      }
    }
  }
  double puts_per_file() const { return static_cast<double>(puts) / stored_; }

  int puts = 0;
  int most_at_once = 0;
  Monotonic::duration longest{};  // from a file's arrival until it is stored

 private:
  static Time at(Monotonic::duration since) { return Time{} + 1h + since; }

  // To the next event: a file comes, a PUT ends, or the lane wants to look again.
  void step() {
    Time next = Time::max();
    if (!arrivals_.empty()) next = std::min(next, arrivals_.begin()->first);
    if (!ends_.empty()) next = std::min(next, ends_.begin()->first);
    if (auto look = lane_.next_look()) next = std::min(next, std::max(now_, *look));
    now_ = next;
    while (!ends_.empty() && ends_.begin()->first <= now_) {
      lane_.put_ended(now_, put_time_);
      for (int w : ends_.begin()->second) {
        ++stored_;
        longest = std::max(longest, now_ - came_[w]);
        arrivals_.emplace(now_ + 300us + w * 10us, w);
      }
      ends_.erase(ends_.begin());
    }
    while (!arrivals_.empty() && arrivals_.begin()->first <= now_) {
      const int w = arrivals_.begin()->second;
      arrivals_.erase(arrivals_.begin());
      came_[w] = now_;
      lane_.add(w, file_, now_);
    }
  }

  Lane lane_;
  const Monotonic::duration put_time_;
  const uint64_t file_;
  Time now_ = at(0us);
  int stored_ = 0;
  std::multimap<Time, int> arrivals_;
  std::multimap<Time, std::vector<int>> ends_;
  std::map<int, Time> came_;
};

TEST(PackLane, OneWriterNeverWaits) {
  Simulation one(1, 20ms, 100 << 10);
  one.run(200);
  EXPECT_EQ(one.puts_per_file(), 1.0);
  EXPECT_EQ(one.longest, 20ms);
}

TEST(PackLane, FewWritersShareHalfOfTheirPuts) {
  Simulation four(4, 20ms, 100 << 10);
  four.run(400);
  EXPECT_LE(four.puts_per_file(), 0.6);
  EXPECT_LE(four.most_at_once, Lane::kMostPuts);
}

TEST(PackLane, ManyWritersMakeFewPuts) {
  Simulation many(64, 20ms, 100 << 10);
  many.run(6400);
  EXPECT_LE(many.puts_per_file(), 0.1);
  EXPECT_LE(many.longest, 60ms) << "nobody waits for more than the PUTs before";
}

TEST(PackLane, FullPacksDoNotWaitForEachOther) {
  Simulation many(128, 20ms, 100 << 10);
  many.run(12'800);
  EXPECT_LE(many.puts_per_file(), 0.1);
  EXPECT_GT(many.most_at_once, Lane::kMostPuts);
}

TEST(PackLane, TakesNoMoreThanFits) {
  const Time now = Time{} + 1h;
  Lane lane({1000, 3});
  lane.add(1, 600, now);
  lane.add(2, 600, now);
  EXPECT_EQ(lane.take(now), std::vector<int>{1});
  EXPECT_EQ(lane.take(now), std::vector<int>{2});
  for (int i = 3; i < 8; ++i) lane.add(i, 10, now);
  EXPECT_EQ(lane.take(now), (std::vector<int>{3, 4, 5})) << "full, so that it goes beside the two";
  EXPECT_TRUE(lane.take(now).empty());
  EXPECT_EQ(lane.next_look(), std::nullopt) << "it goes when a PUT has ended";
  lane.put_ended(now, 1ms);
  lane.put_ended(now, 1ms);
  EXPECT_EQ(lane.take(now).size(), 0u) << "three were in the last, so another is waited for";
  EXPECT_EQ(lane.next_look(), now + 100us);
  EXPECT_EQ(lane.take(now + 100us), (std::vector<int>{6, 7}));
}

TEST(PackLane, APutThatWasNotMadeTeachesNothing) {
  const Time now = Time{} + 1h;
  Lane lane({1000, 2});
  lane.add(1, 10, now);
  lane.add(2, 10, now);
  EXPECT_EQ(lane.take(now).size(), 2u);
  lane.put_ended(now, std::nullopt);
  lane.add(3, 10, now);
  EXPECT_EQ(lane.next_look(), now) << "no time of a PUT is known, so nothing is waited for";
}

}  // namespace
}  // namespace cider::chunk
