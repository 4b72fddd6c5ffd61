#include "meta/store/sql/sqlite_pool.h"

namespace cider::meta::sqlite {

Result<ReaderPool::Lease> ReaderPool::acquire() {
  Slot* slot = take();
  Lease lease(this, slot);
  if (!slot->connection) slot->connection = TRY(Connection::open(path_, options_));
  return lease;
}

// The semaphore promises a free slot to everyone it lets pass; another may be quicker at the one looked at.
ReaderPool::Slot* ReaderPool::take() {
  free_.acquire();
  for (;;) {
    for (Slot& slot : slots_) {
      if (!slot.busy.load(std::memory_order_relaxed) &&
          !slot.busy.exchange(true, std::memory_order_acquire)) {
        return &slot;
      }
    }
  }
}

void ReaderPool::give_back(Slot& slot) {
  slot.busy.store(false, std::memory_order_release);
  free_.release();
}

}  // namespace cider::meta::sqlite
