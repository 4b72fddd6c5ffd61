#include "chunk/write_pressure.h"

#include <algorithm>
#include <vector>

namespace cider::chunk {
namespace {

constexpr auto kLongestDelay = std::chrono::milliseconds(20);

}  // namespace

struct WritePressure::Parked {
  std::move_only_function<void()> done;
  std::atomic<bool> called{false};
  Monotonic::time_point due;
  std::optional<std::stop_callback<std::function<void()>>> on_stop;

  void call() {
    if (!called.exchange(true)) done();
  }
};

WritePressure::WritePressure(MemoryBudget& budget, Timer& timer, std::function<size_t()> other_use)
    : budget_(budget), timer_(timer), other_use_(std::move(other_use)) {}

// Which share of the budget writers use. Data may hold on to more memory than its own size, so both are
// looked at.
double WritePressure::level() const {
  auto limit = static_cast<double>(budget_.limit());
  double dirty_share = static_cast<double>(dirty()) / limit;
  if (dirty_share <= kFloor) return dirty_share;
  double used = static_cast<double>(budget_.used()) - static_cast<double>(other_use_());
  return std::max(dirty_share, used / limit);
}

void WritePressure::sub(size_t bytes) {
  dirty_.fetch_sub(static_cast<int64_t>(bytes));
  if (waiting_.load() > 0) release_due();
}

void WritePressure::when_writable(std::stop_token stop, std::move_only_function<void()> done) {
  double now_level = level();
  if (now_level < kDelay || open_.load() || stop.stop_requested()) {
    done();
    return;
  }
  auto parked = std::make_shared<Parked>();
  parked->done = std::move(done);
  double part = std::min(1.0, (now_level - kDelay) / (kFull - kDelay));
  auto delay = std::chrono::duration_cast<Monotonic::duration>(kLongestDelay * part);
  parked->due = Monotonic::now() + delay;
  {
    std::lock_guard lock(mutex_);
    parked_.push_back(parked);
    waiting_.store(parked_.size());
  }
  // A stop request only makes it due; the entry leaves the list at the next release.
  parked->on_stop.emplace(stop, [weak = std::weak_ptr(parked)] {
    if (auto strong = weak.lock()) strong->call();
  });
  timer_.after(delay, [this] { release_due(); });
  if (open_.load()) release_due();
}

void WritePressure::release_due() {
  std::vector<std::shared_ptr<Parked>> due;
  {
    std::lock_guard lock(mutex_);
    double now_level = level();
    auto now = Monotonic::now();
    bool all = open_.load() || now_level < kDelay;
    std::erase_if(parked_, [&](const std::shared_ptr<Parked>& parked) {
      bool go = all || parked->called.load() || (now_level < kFull && parked->due <= now);
      if (go) due.push_back(parked);
      return go;
    });
    waiting_.store(parked_.size());
  }
  for (const auto& parked : due) parked->call();
}

void WritePressure::set_open(bool open) {
  open_.store(open);
  if (open) release_due();
}

}  // namespace cider::chunk
