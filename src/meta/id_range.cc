#include "meta/id_range.h"

namespace cider::meta {

Result<uint64_t> IdRange::next() {
  std::lock_guard lock(mutex_);
  while (true) {
    if (next_ >= end_) {
      int64_t end = TRY(store_.add_counter(counter_, batch_));
      end_ = static_cast<uint64_t>(end);
      next_ = end_ - static_cast<uint64_t>(batch_);
    }
    uint64_t id = next_++;
    if (id > 1) return id;
  }
}

}  // namespace cider::meta
