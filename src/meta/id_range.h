// Hands out inode and slice numbers from ranges reserved in the engine. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>

#include "meta/store/store.h"

namespace cider::meta {

class IdRange {
 public:
  // `batch` numbers are reserved at a time.
  IdRange(Store& store, Counter counter, int64_t batch) : store_(store), counter_(counter), batch_(batch) {}

  // A number above 1 that no other client of the volume has been given.
  Result<uint64_t> next();

 private:
  Store& store_;
  const Counter counter_;
  const int64_t batch_;
  std::mutex mutex_;
  uint64_t next_ = 0;
  uint64_t end_ = 0;
};

}  // namespace cider::meta
