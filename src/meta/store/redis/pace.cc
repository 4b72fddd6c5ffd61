#include "meta/store/redis/pace.h"

#include <algorithm>

namespace cider::meta::redis {
namespace {

using std::chrono::microseconds;

constexpr microseconds kGap{10'000};
constexpr microseconds kLongestGap{80'000};
constexpr int kRoundTrips = 20;  // in a gap
// So many changes in a period, of all clients together, cost JuiceFS little: a thousand a second.
constexpr uint32_t kFew = 30;

}  // namespace

// Gaps double, so that clients at different distances have most of theirs in common.
void Pace::meet(const Neighbours& neighbours) {
  std::lock_guard lock(mutex_);
  gap_ = kGap;
  while (gap_ < neighbours.round_trip * kRoundTrips && gap_ < kLongestGap) gap_ *= 2;
  burst_ = 2 * gap_;
  few_ = std::max<uint32_t>(1, kFew / static_cast<uint32_t>(std::max<size_t>(1, neighbours.ours)));
  leaves_gaps_ = neighbours.juicefs;
}

Pace::Changes& Pace::changes_of(Ino dir, int64_t period) {
  Changes& changes = changes_[dir % changes_.size()];
  if (changes.period != period) changes = {period, 0, changes.period + 1 == period ? changes.count : 0};
  return changes;
}

bool Pace::is_busy_locked(std::span<const Ino> dirs, int64_t period) {
  return std::ranges::any_of(dirs, [&](Ino dir) {
    const Changes& changes = changes_of(dir, period);
    return std::max(changes.count, changes.before) > few_;
  });
}

bool Pace::is_busy(std::span<const Ino> dirs, Micros now) {
  std::lock_guard lock(mutex_);
  return is_busy_locked(dirs, now / (burst_ + gap_));
}

Pace::Micros Pace::delay(std::span<const Ino> dirs, Micros now) {
  std::lock_guard lock(mutex_);
  const Micros length = burst_ + gap_;
  const int64_t period = now / length;
  const Micros left = length - now % length;
  if (leaves_gaps_ && left <= gap_ && is_busy_locked(dirs, period)) return left;
  for (Ino dir : dirs) ++changes_of(dir, period).count;
  return Micros{0};
}

}  // namespace cider::meta::redis
