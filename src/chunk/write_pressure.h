// Holds writers back while too much of the memory budget is unwritten data.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include "base/budget.h"
#include "base/clock.h"
#include "base/timer.h"

namespace cider::chunk {

// Nobody blocks here: who should wait leaves a completion. From 60 % of the budget on completions come late,
// from 75 % on not before data has been stored. Thread-safe; completions are called without a lock.
class WritePressure {
 public:
  // `other_use` tells the part of the budget that is not writers' (reads).
  WritePressure(MemoryBudget& budget, Timer& timer, std::function<size_t()> other_use);

  void add(size_t bytes) { dirty_.fetch_add(static_cast<int64_t>(bytes)); }
  void sub(size_t bytes);
  size_t dirty() const { return static_cast<size_t>(std::max<int64_t>(0, dirty_.load())); }

  // Half of what writers may use is in use: time to send off what is still being gathered.
  bool is_high() const { return level() > kHigh; }

  void when_writable(std::stop_token stop, std::move_only_function<void()> done);

  // Lets everybody go at once from now on: waiting for memory would be in vain (the store takes nothing any
  // more).
  void set_open(bool open);
  // Calls what is still held.
  void stop() { set_open(true); }

 private:
  static constexpr double kHigh = 0.4;
  static constexpr double kDelay = 0.6;
  static constexpr double kFull = 0.75;
  static constexpr double kFloor = 0.25;  // writers always get this much, whatever others hold

  struct Parked;
  double level() const;
  void release_due();

  MemoryBudget& budget_;
  Timer& timer_;
  const std::function<size_t()> other_use_;
  std::atomic<int64_t> dirty_{0};
  std::atomic<size_t> waiting_{0};
  std::atomic<bool> open_{false};
  std::mutex mutex_;
  std::list<std::shared_ptr<Parked>> parked_;
};

}  // namespace cider::chunk
