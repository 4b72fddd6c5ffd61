#include "meta/store/redis/pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace cider::meta::redis {
namespace {

using Micros = Pace::Micros;

constexpr Ino kDir = 7;
constexpr Micros kPeriod{30'000};
constexpr Neighbours kWithJuiceFs{.juicefs = true, .ours = 1, .round_trip = Micros{100}};

// The times at which one thread's commits go that take `each`, for `time`.
std::vector<Micros> commits(Pace& pace, Micros each, Micros time, Ino dir = kDir, Micros begin = Micros{0}) {
  std::vector<Micros> out;
  for (Micros now = begin; now < begin + time;) {
    const Micros wait = pace.delay(std::span(&dir, 1), now);
    now += wait;
    if (wait > Micros{0}) continue;
    out.push_back(now);
    now += each;
  }
  return out;
}

// How many of JuiceFS's tries that begin at any time see no commit within `window`.
double undisturbed(const std::vector<Micros>& commits, Micros window) {
  Micros good{0};
  for (size_t i = 1; i < commits.size(); ++i)
    good += std::max(Micros{0}, commits[i] - commits[i - 1] - window);
  return static_cast<double>(good.count()) / static_cast<double>((commits.back() - commits.front()).count());
}

TEST(Pace, AloneNothingWaits) {
  Pace pace;
  EXPECT_EQ(commits(pace, Micros{50}, Micros{1'000'000}).size(), 20'000u);
  pace.meet({.juicefs = false, .ours = 5, .round_trip = Micros{100}});
  EXPECT_EQ(commits(pace, Micros{50}, Micros{1'000'000}, kDir, Micros{2'000'000}).size(), 20'000u);
}

TEST(Pace, ABusyDirectoryIsLeftToJuiceFsForAThirdOfTheTime) {
  Pace pace;
  pace.meet(kWithJuiceFs);
  const auto times = commits(pace, Micros{50}, Micros{1'000'000});
  EXPECT_GT(undisturbed(times, Micros{1'000}), 0.29);
  EXPECT_GE(times.size(), 13'000u) << "and ours for the rest";
}

TEST(Pace, ADirectoryThatSeldomChangesIsNotHeldUp) {
  Pace pace;
  pace.meet(kWithJuiceFs);
  EXPECT_EQ(commits(pace, Micros{1'500}, Micros{300'000}).size(), 200u);
}

TEST(Pace, OneDirectorysGapsAreNoOthers) {
  Pace pace;
  pace.meet(kWithJuiceFs);
  commits(pace, Micros{50}, kPeriod);
  const Micros in_gap = kPeriod + Micros{25'000};
  const Ino other = kDir + 1;
  EXPECT_EQ(pace.delay(std::span(&kDir, 1), in_gap), Micros{5'000});
  EXPECT_EQ(pace.delay(std::span(&other, 1), in_gap), Micros{0});
  const Ino both[] = {other, kDir};
  EXPECT_EQ(pace.delay(both, in_gap), Micros{5'000});
}

// Each alone would change the directory too seldom to matter.
TEST(Pace, ManyClientsCountTogether) {
  const auto one_of = [](size_t clients) {
    Pace pace;
    pace.meet({.juicefs = true, .ours = clients, .round_trip = Micros{100}});
    return undisturbed(commits(pace, Micros{1'500}, Micros{300'000}), Micros{5'000});
  };
  EXPECT_EQ(one_of(1), 0);
  EXPECT_GT(one_of(10), 0.15);
}

TEST(Pace, GapsOfSeveralClientsCoincide) {
  std::vector<Micros> all;
  for (int client = 0; client < 4; ++client) {
    Pace pace;
    pace.meet({.juicefs = true, .ours = 4, .round_trip = Micros{100 + 50 * client}});
    const auto times = commits(pace, Micros{230}, Micros{1'000'000}, kDir, Micros{1'000 * client});
    all.insert(all.end(), times.begin(), times.end());
  }
  std::ranges::sort(all);
  EXPECT_GT(undisturbed(all, Micros{1'000}), 0.29);
}

TEST(Pace, GapsGrowWithTheDistance) {
  for (int64_t round_trip : {100, 1'000, 3'000}) {
    Pace pace;
    pace.meet({.juicefs = true, .ours = 1, .round_trip = Micros{round_trip}});
    const auto times = commits(pace, Micros{50}, Micros{2'000'000});
    EXPECT_GT(undisturbed(times, Micros{5 * round_trip}), 0.2) << round_trip;
  }
}

}  // namespace
}  // namespace cider::meta::redis
