// One limit for all file data in memory (`--buffer-size`). Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <stop_token>

#include "base/result.h"
#include "base/slab_pool.h"

namespace cider {

// Charging never blocks, so that no receive thread waits for memory. Who produces data looks at the pressure
// instead: writers answer late, readers read ahead less or wait, caches give way.
//
// A budget with a parent counts one kind of use (reads, say) and charges the parent too. A budget outlives
// its children and every Buffer allocated from it.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t limit, MemoryBudget* parent = nullptr);

  void charge(size_t bytes);
  void release(size_t bytes);

  size_t limit() const { return limit_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }

  // True if `bytes` more would stay within `share` (0 to 1) of the limit. A hint, not a reservation.
  bool has_room(size_t bytes, double share = 1.0) const {
    return static_cast<double>(used() + bytes) <= share * static_cast<double>(limit_);
  }

  // Waits until has_room(bytes, share); EINTR when `stop` is requested first.
  Status wait_for_room(size_t bytes, double share, std::stop_token stop);

  // Waits until `ready`, which is asked again after each release; EINTR when `stop` is requested first.
  Status wait_until(const std::function<bool()>& ready, std::stop_token stop);

  // Where Buffers charged here get their memory: one pool for a budget and its children.
  SlabPool& slabs() { return parent_ ? parent_->slabs() : slabs_; }

 private:
  const size_t limit_;
  MemoryBudget* const parent_;
  std::atomic<size_t> used_{0};
  std::atomic<int> waiters_{0};
  std::mutex mutex_;
  std::condition_variable_any room_;
  SlabPool slabs_;
};

// Memory that is no Buffer, counted in a budget while this lives.
class BudgetCharge {
 public:
  // `budget` outlives this; null counts nothing.
  BudgetCharge(MemoryBudget* budget, size_t bytes) : budget_(budget), bytes_(bytes) {
    if (budget_) budget_->charge(bytes_);
  }
  ~BudgetCharge() {
    if (budget_) budget_->release(bytes_);
  }
  BudgetCharge(const BudgetCharge&) = delete;

 private:
  MemoryBudget* const budget_;
  const size_t bytes_;
};

}  // namespace cider
