// Hands out inode and slice numbers from ranges reserved in the engine. Thread-safe.
#pragma once

#include <cstdint>
#include <stop_token>

#include "base/slow_lock.h"
#include "meta/store/store.h"

namespace cider::meta {

class IdRange {
 public:
  // `batch` numbers are reserved at a time.
  IdRange(Store& store, Counter counter, int64_t batch)
      : store_(store), counter_(counter), batch_(batch), leap_(batch) {}

  // A number above 1 that no other client of the volume has been given.
  Result<uint64_t> next(std::stop_token stop = {});
  // After a number turned out to be in use: the engine's counter was rolled back (a backup was restored, a
  // failover lost writes). Raises it above all numbers known here, and goes on from there.
  Status skip_used();
  // skip_used() if the counter stands below what this client was given.
  Status check();

 private:
  Status skip_used_locked();

  Store& store_;
  const Counter counter_;
  const int64_t batch_;
  SlowLock lock_;
  int64_t leap_;
  uint64_t incarnation_ = 0;  // the engine's, when the range was reserved
  uint64_t next_ = 0;
  uint64_t end_ = 0;
  uint64_t highest_end_ = 0;  // of all ranges so far
};

}  // namespace cider::meta
